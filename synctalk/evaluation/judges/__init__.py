"""Who judges: networks that never supervised. SyncNet for LSE, lip readers for WER, others for LPIPS and FID."""
