"""The paper's tables with ours beside them, and the report page."""
