"""A trained generator at work: whole clips of a corpus, or anybody's video."""
