"""The report page, and the page of a score."""
