"""SyncTalklip (ACM MM 2024) as a data-pipeline toolkit: corpora to tables, dubbing and scoring of talking faces."""

__version__ = "0.1.0"
