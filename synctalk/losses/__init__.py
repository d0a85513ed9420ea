"""The paper's losses: one equation a function, small and pure. They take tensors by keyword, never a model or a path.

| equation | function |
|---|---|
| 3 | `masked_prediction.masked_prediction_loss` |
| 4 | `lip_reading.lip_reading_loss` |
| 5 | `alignment.alignment_loss` |
| 6, 13 | `total.weighted_total` |
| 7 | `reconstruction.reconstruction_loss` |
| 8, 9, 10 | `adversarial.generator_loss`, `.discriminator_loss` |
| 11, 12 | `contrastive.theta`, `.contrastive_loss` |
"""
