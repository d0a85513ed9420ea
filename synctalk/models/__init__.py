"""The networks, one figure of a paper per file. They need torch only, and import no losses, metrics or features."""
