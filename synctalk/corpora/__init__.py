"""Corpora as lists of clips: one reader per official layout turns a folder into `Clip` records."""
