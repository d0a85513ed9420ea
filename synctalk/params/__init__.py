"""params.yaml: how it is read, and its whole shape."""
