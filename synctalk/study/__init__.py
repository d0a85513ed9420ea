"""The perceptual study of table 5: blinded videos, shared out to raters; the page they answer on; their answers."""
