"""The visual-quality discriminator (Wav2Lip fig. 2): does the lower half of a face look real?

Legend: N faces, T frames, H/W pixels. Key names and default sizes as in Rudrabha/Wav2Lip @5c90fa9 (TalkLip's too).
"""

from __future__ import annotations

from torch import Tensor, nn

from synctalk.models.conv_blocks import LeakyConv
from synctalk.params.section import section


@section
class DiscriminatorConfig:
    """Widths of the blocks; the defaults have 14,113,793 parameters, for faces of 96 pixels.

    A face has 3·2^k pixels where there are k + 2 widths.
    """

    widths: tuple[int, ...] = (32, 64, 128, 256, 512, 512, 512)


class FaceDiscriminator(nn.Module):
    """Lower half 48x96 -> 48x96, 48x48, 24x24, 12x12, 6x6, 3x3, 1."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        first, *middle, last = config.widths
        blocks = [nn.Sequential(LeakyConv(3, first, 7, 1, 3))]
        width = first
        for level, next_width in enumerate(middle):
            kernel = 5 if level < 3 else 3
            half = kernel // 2
            squeeze = LeakyConv(width, next_width, kernel, (1, 2) if level == 0 else 2, half)
            blocks.append(nn.Sequential(squeeze, LeakyConv(next_width, next_width, kernel, 1, half)))
            width = next_width
        blocks.append(nn.Sequential(LeakyConv(width, last, 3, 1, 0), LeakyConv(last, last, 1, 1, 0)))
        self.face_encoder_blocks = nn.ModuleList(blocks)
        self.binary_pred = nn.Sequential(nn.Conv2d(last, 1, 1))

    def logits(self, faces: Tensor) -> Tensor:
        """Evidence for a real face, before the sigmoid.

        Args:
            faces: whole faces [N, 3, H, W] in [0, 1], or [N, 3, T, H, W].

        Returns:
            [N, 1], or [T·N, 1] with all faces of the first frame first.
        """
        if faces.dim() == 5:
            faces = faces.permute(2, 0, 1, 3, 4).flatten(0, 1)
        x = faces[:, :, faces.shape[2] // 2 :]
        for block in self.face_encoder_blocks:
            x = block(x)
        evidence: Tensor = self.binary_pred(x)
        return evidence.flatten(1)

    def forward(self, faces: Tensor) -> Tensor:
        """Probability that each face is real, in (0, 1); shapes as in `logits`."""
        return self.logits(faces).sigmoid()
