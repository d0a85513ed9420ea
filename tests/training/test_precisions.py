"""Every kind of training in each precision, in two micro-batches: finite losses of the same size, weights that move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from overfit import ADAM, OPTIM, curve, supervised
from test_conformer_observer import RECIPE
from test_finetune import PARAMS as FINETUNE
from test_pretrain import PARAMS as PRETRAIN
from test_pretrain import some_labels
from test_train_generator import ALL_TERMS, TRAIN
from test_train_syncnet import MODEL, SyncNetParams
from test_train_syncnet import PARAMS as SYNCNET
from test_train_wav2lip_expert import EXPERT, LIP_SYNC, WAV2LIP, expert
from test_train_wav2lip_expert import TRAIN as TRAIN_WAV2LIP
from tiny import CROP, ENCODER, NETWORKS, reader, samples, tokenizer
from torch import nn

from synctalk.features.tokens import Units
from synctalk.models.syncnet import SyncNet
from synctalk.models.wav2lip_expert import Wav2LipExpert
from synctalk.shards.cache import SampleCache
from synctalk.training.adversary import Adversary
from synctalk.training.conformer import ConformerTask
from synctalk.training.finetune import FinetuneTask
from synctalk.training.fit import Task, fit
from synctalk.training.generator import GeneratorTask, begin_generator
from synctalk.training.methods import AdversaryParams, MethodParams, TrainParams
from synctalk.training.optim import OptimParams
from synctalk.training.pretrain import PretrainTask, begin_iteration
from synctalk.training.syncnet import SyncNetTask
from synctalk.training.wav2lip_expert import Wav2LipExpertTask

Begin = Callable[[SampleCache, OptimParams], Task[Any]]


def pretraining(cache: SampleCache, optim: OptimParams) -> Task[Any]:
    params, labels = replace(PRETRAIN, optim=optim, feature_penalty=1.0), some_labels(4)
    model = begin_iteration(ENCODER, params, labels, Path(), seed=0)
    return PretrainTask(model, cache, labels, params, crop=CROP, seed=0)


def fine_tuning(cache: SampleCache, optim: OptimParams) -> Task[Any]:
    pieces = tokenizer()
    params = replace(FINETUNE, optim=optim, recompute=True, batch_frames=120)
    return FinetuneTask(reader("conv", vocabulary=len(pieces)), cache, pieces, params, crop=CROP, seed=0)


def conformer(cache: SampleCache, optim: OptimParams) -> Task[Any]:
    units = Units.of_tokenizer(tokenizer().model)
    return ConformerTask(cache, units, reader(), replace(RECIPE, optim=optim), crop=CROP, seed=0)


def syncnet(cache: SampleCache, optim: OptimParams) -> Task[Any]:
    params: SyncNetParams = replace(SYNCNET, optim=optim)
    return SyncNetTask(SyncNet(MODEL), cache, params, seed=0)


def wav2lip_expert(cache: SampleCache, optim: OptimParams) -> Task[Any]:
    return Wav2LipExpertTask(Wav2LipExpert(EXPERT), cache, replace(LIP_SYNC, optim=optim), seed=0)


def generator(
    cache: SampleCache, optim: OptimParams, method: MethodParams, params: TrainParams, network: nn.Module
) -> Task[Any]:
    model, discriminator = begin_generator(NETWORKS, method.network, network, None, seed=0)
    adversary = AdversaryParams(optim=replace(ADAM, precision=optim.precision))
    params = replace(params, optim=optim, ema_decay=0.9, adversary=adversary)
    return GeneratorTask(
        model, cache, tokenizer(), method, params, crop=CROP, seed=0,
        supervisors=[supervised(network, model, cache, method, params, CROP)],
        adversary=Adversary(discriminator, adversary, optim.steps, optim.micro_batches),
    )  # fmt: skip


def synctalklip(cache: SampleCache, optim: OptimParams) -> Task[Any]:
    return generator(cache, optim, ALL_TERMS, TRAIN, reader(vocabulary=len(tokenizer())))


def frozen_anchor(cache: SampleCache, optim: OptimParams) -> Task[Any]:
    method = replace(ALL_TERMS, audio_anchor="frozen")
    return generator(cache, optim, method, TRAIN, reader("conv", vocabulary=len(tokenizer())))


def wav2lip(cache: SampleCache, optim: OptimParams) -> Task[Any]:
    phases = {"supervised": replace(TRAIN_WAV2LIP.phases["supervised"], begin=0)}
    return generator(cache, optim, WAV2LIP, replace(TRAIN_WAV2LIP, phases=phases), expert())


@pytest.mark.parametrize(
    "begin",
    [pretraining, fine_tuning, conformer, syncnet, wav2lip_expert, synctalklip, frozen_anchor, wav2lip],
    ids=lambda begin: begin.__name__,
)
def test_half_precision_learns_the_same_as_float32(tmp_path: Path, begin: Begin) -> None:
    cache = samples(tmp_path / "shards", 4)
    first: dict[str, dict[str, float]] = {}
    for precision in ("float32", "bfloat16", "float16"):
        folder = tmp_path / precision
        folder.mkdir()
        torch.manual_seed(0)
        task = begin(cache, replace(OPTIM, steps=2, batch_clips=4, micro_batches=2, precision=precision))
        before = {name: weight.detach().clone() for name, weight in task.model.named_parameters()}
        state = fit(task, folder=folder, label="test")
        assert state.faults == 0
        moved = [name for name, weight in task.model.named_parameters() if not torch.equal(weight, before[name])]
        # float16 begins with a scale that overflows, and is halved before the first update
        assert moved or precision == "float16"
        first[precision] = {name: curve(state, name)[0] for _, name, _ in state.curves}
    for name, value in first["float32"].items():
        if name not in ("accuracy", "gradient_norm"):
            assert first["bfloat16"][name] == pytest.approx(value, rel=0.1, abs=0.02), name
            assert first["float16"][name] == pytest.approx(value, rel=0.05, abs=0.01), name
    assert first["bfloat16"] != first["float32"]
