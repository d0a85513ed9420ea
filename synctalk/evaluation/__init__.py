"""Scoring of talking-face videos by judges that never supervised: image quality, synchronisation, lip reading."""
