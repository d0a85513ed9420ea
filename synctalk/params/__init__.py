"""Sections of params.yaml: how they are read, and rows that say only what they differ in."""
