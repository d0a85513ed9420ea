"""The judges' figures: pure functions of images, of words and of embeddings; never of a model or a path."""
