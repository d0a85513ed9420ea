"""A training step of SyncTalklip beside the same step as the released code computes it, and pasting alone.

    python benchmarks/train_step.py --size small --clips 2 --frames 50
    python benchmarks/train_step.py --size paper --clips 8 --frames 75     # on a GPU

Same weights, clips and losses (reconstruction, adversary, lip reading). The released code resizes every made face to
its box, writes it into the whole frame, turns that grey and cuts the mouth region, frame by frame, and reads whole
clips through the front end. Here one warp looks the mouth up, and only what changed is read anew. Both give the same
lip reader input, which is checked. Medians after a warm-up: of wall time on a GPU, of this process' core-seconds on a
CPU, which other work on the machine disturbs little. Peak memory is that of the GPU's allocator.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Literal, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from synctalk.faces.warp import paste_mouth
from synctalk.features.roi_input import centre_crop, standardise
from synctalk.features.speech_batch import collate_speech
from synctalk.losses.lip_reading import lip_reading_loss
from synctalk.losses.reconstruction import reconstruction_loss
from synctalk.losses.total import weighted_total
from synctalk.models.av_hubert import AVHubertConfig
from synctalk.models.av_syncnet import AlignmentConfig, AVSyncNet
from synctalk.models.discriminator import DiscriminatorConfig, FaceDiscriminator
from synctalk.models.generator import GeneratorConfig
from synctalk.models.lip_reader import PAD, LipReaderConfig
from synctalk.models.resnet import FrontEndConfig
from synctalk.models.synctalklip import SyncTalklip, SyncTalklipConfig, generator_input
from synctalk.runtime.device import set_threads, torch_device
from synctalk.shards.cache import SampleCache
from synctalk.training.adversary import Adversary
from synctalk.training.generator_batches import TalkingFaceBatch
from synctalk.training.methods import RECONSTRUCTION_ONLY, AdversaryParams, LipReadingParams
from synctalk.training.optim import AdamParams, Optimizer
from synctalk.training.reader_supervisor import ReaderSupervisor, Supervision
from synctalk.training.terms import MadeFaces

FRAME, ROI, CROP, FACE, WINDOW = 160, 96, 88, 96, 5
OFFSET = (FRAME - ROI) // 2
Precision = Literal["float32", "bfloat16"]
WEIGHTS = {"reconstruction": 0.93, "adversarial": 0.07, "lip_reading": 1e-5}
ADAM = AdamParams(
    lr=1e-4, warmup_steps=0, hold_steps=0, decay="none", final_lr_ratio=1.0, beta1=0.5,
    beta2=0.999, eps=1e-8, weight_decay=0.0, clip_norm=0.0, precision="float32",
)  # fmt: skip
SMALL_ENCODER = AVHubertConfig(
    d_model=128, n_layers=3, d_ffn=384, n_heads=4,
    front_end=FrontEndConfig(stem_width=16, widths=(16, 32, 64, 128), blocks=(1, 1, 1, 1)),
)  # fmt: skip
READERS = {
    "small": LipReaderConfig(encoder=SMALL_ENCODER, vocabulary=64, n_layers=2, d_ffn=256, n_heads=4),
    "paper": LipReaderConfig(encoder=AVHubertConfig(), vocabulary=1000, n_layers=9, d_ffn=4096, n_heads=8),
}
IMAGES = {
    "small": GeneratorConfig(
        encoder_widths=(16, 24, 48, 64, 96, 96), encoder_residuals=(0, 1, 1, 1, 1, 0),
        decoder_widths=(96, 96, 96, 64, 32, 16), decoder_residuals=(0, 1, 1, 1, 1, 0), output_width=16, d_audio=96,
        stem_kernel=3, fold=2,
    ),
    "paper": GeneratorConfig(),
}  # fmt: skip
DISCRIMINATORS = {"small": DiscriminatorConfig(widths=(8, 16, 24, 32, 48, 48, 48)), "paper": DiscriminatorConfig()}


@dataclass(frozen=True)
class Case:
    """One batch: whole frames [B, T, 3, 160, 160] in 0..1, and what the generator sees of them."""

    frames: Tensor
    batch: TalkingFaceBatch
    samples: SampleCache


def make_case(n_clips: int, n_frames: int, vocabulary: int) -> Case:
    """Random clips of equal length, windows of 5 frames at 0.08 a frame, boxes of other sizes than the face."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (n_clips, n_frames, FRAME, FRAME, 3)).astype(np.uint8)
    grey = np.round(frames @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    mouth = grey[:, :, OFFSET : OFFSET + ROI, OFFSET : OFFSET + ROI]
    clips = [
        SimpleNamespace(
            mouth=mouth[number],
            fbank=rng.normal(size=(n_frames, 104)).astype(np.float32),
            row=SimpleNamespace(n_frames=n_frames, transcript=""),
        )
        for number in range(n_clips)
    ]
    samples = cast(SampleCache, _Clips(clips))
    speech = collate_speech(cast(Any, clips), list(range(n_clips)), crop=CROP, with_video=False)
    n_windows = max(1, int(0.08 * n_frames))
    start = torch.from_numpy(np.linspace(0, n_frames - WINDOW, n_windows).astype(np.int64)).repeat(n_clips)
    clip = torch.arange(n_clips).repeat_interleave(n_windows)
    n_made = len(start) * WINDOW
    corner = rng.integers(25, 45, (n_made, 2))
    boxes = np.concatenate([corner, corner + rng.integers(70, 110, (n_made, 2))], axis=1)
    transform = torch.tensor([[1.0, 0.0, -OFFSET], [0.0, 1.0, -OFFSET]])
    tokens = torch.from_numpy(rng.integers(4, vocabulary, (n_clips, 20)))
    batch = TalkingFaceBatch(
        speech=SimpleNamespace(**{**vars(speech), "target": tokens, "decoder_input": tokens}),  # type: ignore[arg-type]  # only what is read
        mouth=torch.from_numpy(mouth),
        mel=None,
        clip=clip.repeat_interleave(WINDOW),
        frame=(start[:, None] + torch.arange(WINDOW)).flatten(),
        target_faces=torch.rand(n_made, 3, FACE, FACE),
        reference_faces=torch.rand(n_made, 3, FACE, FACE),
        boxes=torch.from_numpy(boxes).float(),
        mouth_transforms=transform.expand(n_made, 2, 3).contiguous(),
        window_start=start,
        window_clip=clip,
    )
    return Case(torch.from_numpy(frames).permute(0, 1, 4, 2, 3).float() / 255, batch, samples)


class _Clips:
    """What a supervisor asks of a sample cache."""

    def __init__(self, clips: list[SimpleNamespace]) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def read(self, numbers: list[int]) -> list[SimpleNamespace]:
        return [self.clips[number] for number in numbers]


def pasted_frame_by_frame(generated: Tensor, frames: Tensor, batch: TalkingFaceBatch) -> Tensor:
    """Grey mouth regions [N, R, R] of whole frames into which each face was resized and written, one by one."""
    mouths = []
    for face, clip, frame, box in zip(generated, batch.clip.tolist(), batch.frame.tolist(), batch.boxes.int().tolist(),
                                      strict=True):  # fmt: skip
        x1, y1, x2, y2 = box
        whole = frames[clip, frame].clone()
        whole[:, y1:y2, x1:x2] = F.interpolate(
            face[None], size=(y2 - y1, x2 - x1), mode="bilinear", align_corners=False
        )[0]
        grey = 0.299 * whole[0] + 0.587 * whole[1] + 0.114 * whole[2]
        mouths.append(grey[OFFSET : OFFSET + ROI, OFFSET : OFFSET + ROI])
    return torch.stack(mouths)


def supervised_by_the_peer(supervisor: ReaderSupervisor, generated: Tensor, case: Case) -> Supervision:
    """`ReaderSupervisor.supervise` the long way: whole frames, and whole clips through the front end."""
    batch, device = case.batch, generated.device
    mouth = batch.mouth.to(device).float() / 255
    pasted = pasted_frame_by_frame(generated, case.frames, batch)
    mouth = mouth.index_put((batch.clip.to(device), batch.frame.to(device)), pasted)
    video = standardise(centre_crop(mouth * 255, CROP))
    padding = batch.speech.padding.to(device)
    features = supervisor.model.encoder.w2v_model.feature_extractor_video.resnet(video[:, None])
    encoding = supervisor.model.encode(None, features, padding)
    logits, _ = supervisor.model.decoder(batch.speech.decoder_input.to(device), encoding, padding)
    return Supervision(logits, encoding)


def measured(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median seconds of `work`, core-seconds on a CPU, after one unmeasured call, and the peak of the GPU's memory in
    GiB (0 without one).
    """
    on_gpu = torch_device().type == "cuda"
    clock = time.perf_counter if on_gpu else time.process_time
    work()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        if on_gpu:
            torch.cuda.synchronize()
        times.append(clock() - start)
    return statistics.median(times), torch.cuda.max_memory_allocated() / 2**30 if on_gpu else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=sorted(READERS), default="small")
    parser.add_argument("--clips", type=int, default=2)
    parser.add_argument("--frames", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    set_threads()
    torch.manual_seed(0)
    device, config = torch_device(), READERS[asked.size]
    case = make_case(asked.clips, asked.frames, config.vocabulary)
    case = Case(case.frames.to(device), case.batch, case.samples)
    batch = case.batch
    reader = AVSyncNet(config, AlignmentConfig(kind="local")).to(device)
    supervisor = ReaderSupervisor(
        reader, case.samples, CROP, method=RECONSTRUCTION_ONLY, lip_reading=LipReadingParams(), head=None
    )
    sizes = SyncTalklipConfig(image=IMAGES[asked.size], discriminator=DISCRIMINATORS[asked.size], audio_detail=0)
    model = SyncTalklip(sizes, config.encoder).to(device).train()
    model.tune_audio_encoder(3)
    discriminator, rng = FaceDiscriminator(sizes.discriminator), torch.Generator().manual_seed(0)

    def step(
        supervise: Callable[[Tensor], Supervision],
        layout: torch.memory_format,
        optimizer: Optimizer,
        adversary: Adversary,
    ) -> None:
        target = batch.target_faces.to(device, memory_format=layout)
        with optimizer.autocast():
            faces = generator_input(target, batch.reference_faces.to(device))
            audio, padding = batch.speech.audio.to(device), batch.speech.padding.to(device)
            encoded = model.encode_audio(audio, padding, batch.frame_index.to(device))
            generated = model.make(encoded.embedding, faces).float()
            made = MadeFaces(faces=generated, target=target, audio=encoded)
            terms = {
                "reconstruction": reconstruction_loss(generated_faces=generated, target_faces=target),
                **adversary.terms(made, batch, rng),
                "lip_reading": lip_reading_loss(
                    logits=supervise(generated).logits,
                    target=batch.speech.target.to(device),
                    padding_index=PAD,
                    smoothing=0.1,
                    reduction="sum",
                ),
            }
        optimizer.step(weighted_total(terms=terms, weights=WEIGHTS), 0)
        adversary.learn(0)

    def time_step(
        supervise: Callable[[Tensor], Supervision], layout: torch.memory_format, precision: Precision
    ) -> tuple[float, float]:
        params = replace(ADAM, precision=precision)
        optimizer = Optimizer(model.parameters(), params, steps=100)
        adversary = Adversary(discriminator, AdversaryParams(optim=params), steps=100)
        return measured(lambda: step(supervise, layout, optimizer, adversary), asked.repeats)

    def paste(by_frame: bool) -> Tensor:
        faces = batch.target_faces.to(device).requires_grad_()
        if by_frame:
            mouths = pasted_frame_by_frame(faces, case.frames, batch)
        else:
            real = batch.mouth[batch.clip, batch.frame].to(device).float() / 255
            mouths = paste_mouth(faces, real, batch.boxes.to(device), batch.mouth_transforms.to(device))
        mouths.sum().backward()  # type: ignore[no-untyped-call]  # torch has no types here
        return mouths.detach()

    # greys of the real mouth regions are whole levels
    torch.testing.assert_close(paste(by_frame=True), paste(by_frame=False), atol=1.01 / 255, rtol=0.0)
    n_made = len(batch.clip)
    steps = {
        "released way": time_step(
            lambda made: supervised_by_the_peer(supervisor, made, case), torch.contiguous_format, "float32"
        )
    }
    model.channels_last()
    for precision in ("float32", "bfloat16") if device.type == "cuda" else ("float32",):
        steps[f"here, {precision}"] = time_step(
            lambda made: supervisor.supervise(made, batch), torch.channels_last, precision
        )
    slow, _ = measured(lambda: paste(by_frame=True), asked.repeats)
    quick, _ = measured(lambda: paste(by_frame=False), asked.repeats)
    print(f"{asked.size}: {asked.clips} clips of {asked.frames} frames, {n_made} made frames a step, {device}")
    clock = "wall time" if device.type == "cuda" else "core-seconds"
    print(f"| training step, {clock} | s | made frames/s | | peak GiB |\n|---|---:|---:|---:|---:|")
    for label, (took, memory) in steps.items():
        gain = steps["released way"][0] / took
        print(f"| {label} | {took:.3f} | {n_made / took:.1f} | {gain:.1f} | {memory:.1f} |")
    print(f"pasting, forward and back: released way {1e3 * slow:.1f} ms, here {1e3 * quick:.1f} ms, {slow / quick:.1f}")


if __name__ == "__main__":
    main()
