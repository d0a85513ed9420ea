"""WebDataset shards of crops and features, their index, and the way back into arrays."""
