"""How far SyncNet's scorer looks."""

VSHIFT = 15
"""Farthest shift between lips and audio that is compared, frames either way (joonson/syncnet_python @6efbb1c)."""
