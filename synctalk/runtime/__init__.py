"""What runs the work: parts, workers, clusters, and files that appear whole or not at all."""
