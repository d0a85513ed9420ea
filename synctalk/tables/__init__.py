"""The paper's tables with ours beside them, and the ledger of its claims."""
