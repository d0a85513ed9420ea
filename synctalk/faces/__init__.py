"""Faces: detect, track, align to a mean face, crop, and paste back."""
