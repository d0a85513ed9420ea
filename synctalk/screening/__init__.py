"""Audio that does not belong to the lips: measured by a SyncNet of its own, dropped or moved back.

The net that screens is never the judge behind LSE: a corpus that the judge chose flatters whatever is trained on it.
"""
