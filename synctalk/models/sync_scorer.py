"""SyncNet as it scores: the network's function with nothing computed twice, over a clip of any length.

Only the first lip convolution reaches over time. Five frames therefore become the channels of one picture, and every
layer a 2-D one in channels-last order; norms are folded into the convolutions before them, and the pools stand in front
of the rectifiers, which see a quarter of the pixels there.

Legend: n windows, H/W pixels, C channels, D embedding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, cast

import torch
from torch import Tensor, nn

from synctalk.models.syncnet import LIP_WINDOW, Pair, SyncNet, audio_windows
from synctalk.timebase import n_whole_frames

ScoringDtype = Literal["float32", "bfloat16"]
DTYPES: dict[ScoringDtype, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CPU_CHUNK, GPU_CHUNK = 8, 128
"""Lip windows at a time: few on a CPU, whose caches they have to fit in, and many on a GPU, which has to be filled."""


class SyncScorer(nn.Module):
    """The two towers of a `SyncNet` in eval mode, for scoring only: a copy of its weights that cannot be trained.

    Args:
        model: the network.
        dtype: of the lip tower's convolutions, nearly all of the work; the audio tower and both heads stay in float32.
            Pictures of 0..255 are exact in bfloat16.
    """

    def __init__(self, model: SyncNet, dtype: ScoringDtype = "float32") -> None:
        super().__init__()
        self.config = model.config
        self.lip_dtype = DTYPES[dtype]
        self.lips = _folded(model.netcnnlip).to(self.lip_dtype)
        for weight in self.lips.parameters():
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        self.lip_head = _folded(model.netfclip)
        self.audio = nn.Sequential(_folded(model.netcnnaud), nn.Flatten(1), _folded(model.netfcaud))
        self.requires_grad_(False).eval()

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.parameters()).device

    def embed_lips(self, frames: Tensor) -> Tensor:
        """Frames [n+4, C, H, W], BGR, 0..255, of any number type -> float32 [n, D], as `SyncNet.embed_lips`."""
        track = frames.to(self.lip_dtype).permute(0, 2, 3, 1)
        n = len(frames) - LIP_WINDOW + 1
        pictures = torch.cat([track[first : first + n] for first in range(LIP_WINDOW)], dim=-1)
        features = self.lips(pictures.permute(0, 3, 1, 2)).flatten(1)
        return cast(Tensor, self.lip_head(features.float()))

    @torch.no_grad()
    def embed(self, pictures: Iterable[Tensor], mfcc: Tensor, n_samples: int) -> tuple[Tensor, Tensor]:
        """Lip and audio embeddings of every window of a clip, float32 [n, D] each on the CPU, n = `n_windows`.

        Memory does not grow with the clip, but for 8 kB of embeddings a frame.

        Args:
            pictures: uint8 [C, H, W], BGR, 0..255, or a tensor of them; they may be decoded as they are asked for.
            mfcc: [13, T100] of int16 samples.
            n_samples: samples of the audio.

        Raises:
            ValueError: the clip has no window (under 6 frames).
        """
        chunks = [self.embed_lips(chunk).cpu() for chunk in self._chunks(islice(pictures, n_whole_frames(n_samples)))]
        if not chunks:
            raise ValueError(f"the pictures and {n_samples} samples hold no window of {LIP_WINDOW} frames")
        lips = torch.cat(chunks)
        size = self._chunk_size()
        windows = audio_windows(mfcc, 0, len(lips)).to(self.device, torch.float32)
        audio = torch.cat([self.audio(windows[first : first + size]).cpu() for first in range(0, len(lips), size)])
        return lips, audio

    def _chunk_size(self) -> int:
        return CPU_CHUNK if self.device.type == "cpu" else GPU_CHUNK

    def _chunks(self, pictures: Iterator[Tensor]) -> Iterator[Tensor]:
        """Frames of up to so many windows at a time; a window is there once the frame behind it has come, which leaves
        out the last one, as the released scorer does.
        """
        size = self._chunk_size()
        held: list[Tensor] = []
        for picture in pictures:
            held.append(picture)
            if len(held) == size + LIP_WINDOW:
                yield self._moved(held[:-1])
                held = held[size:]
        if len(held) > LIP_WINDOW:
            yield self._moved(held[:-1])

    def _moved(self, frames: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(frames)).to(self.device)


def _folded(tower: nn.Sequential) -> nn.Sequential:
    """The same function in eval mode without norms, in two dimensions, each pool in front of its rectifier."""
    layers: list[nn.Module] = []
    for layer in tower:
        match layer:
            case nn.BatchNorm1d() | nn.BatchNorm2d() | nn.BatchNorm3d():
                _fold_in(layer, layers[-1])
            case nn.Conv3d() | nn.Conv2d():
                layers.append(_flat_conv(layer))
            case nn.MaxPool3d() | nn.MaxPool2d():
                pool = nn.MaxPool2d(_last_two(layer.kernel_size), _last_two(layer.stride), _last_two(layer.padding))
                layers.insert(-1 if isinstance(layers[-1], nn.ReLU) else len(layers), pool)
            case nn.ReLU():
                layers.append(nn.ReLU(inplace=True))
            case nn.Linear():
                layers.append(nn.Linear(layer.in_features, layer.out_features))
                layers[-1].load_state_dict(layer.state_dict())
            case nn.Identity():
                pass
            case _:
                raise TypeError(f"SyncNet has no {type(layer).__name__}")
    return nn.Sequential(*layers)


def _flat_conv(conv: nn.Conv3d | nn.Conv2d) -> nn.Conv2d:
    """`conv` over pictures whose channels are those of the frames that its kernel spans, frame by frame."""
    weight = conv.weight if isinstance(conv, nn.Conv2d) else conv.weight.transpose(1, 2).flatten(1, 2)
    width, in_width, height, length = weight.shape
    flat = nn.Conv2d(in_width, width, (height, length), _last_two(conv.stride), _last_two(conv.padding))
    assert conv.bias is not None
    flat.load_state_dict({"weight": weight, "bias": conv.bias})
    return flat


@torch.no_grad()
def _fold_in(norm: nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d, layer: nn.Module) -> None:
    """Let `layer` do what `norm` does behind it; in double precision, so that only one rounding is added."""
    weight, bias = (cast(nn.Parameter, parameter) for parameter in (layer.weight, layer.bias))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    weight.copy_(weight.double() * scale.reshape(-1, *(1,) * (weight.dim() - 1)))
    bias.copy_((bias.double() - norm.running_mean.double()) * scale + norm.bias.double())


def _last_two(value: int | str | tuple[int, ...]) -> Pair:
    """Height and width of a layer's size, which may be one number for all axes."""
    assert not isinstance(value, str)
    return (value, value) if isinstance(value, int) else (value[-2], value[-1])
