from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from parity import peer_keys
from safetensors.torch import save_file
from small_networks import (
    ENCODER,
    OURS,
    SMALL,
    SYNCNET,
    assert_same,
    peer_content,
    refused,
    saved_state,
    small,
)
from torch import Tensor, nn

from synctalk.checkpoints import load, save
from synctalk.checkpoints.kinds import KINDS
from synctalk.checkpoints.load import _renamed, kind_of
from synctalk.checkpoints.peers import PeerFile
from synctalk.errors import UserError
from synctalk.models.av_hubert import AVHubert
from synctalk.models.syncnet import SyncNet

# every size and key name of the peers


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("av_hubert", "avhubert_base_pretrain"),
        ("av_hubert", "avhubert_large_pretrain"),
        ("av_hubert", "avhubert_small_pretrain"),
        ("av_hubert", "avhubert_small_postnorm_add"),
        ("av_hubert_seq2seq", "avhubert_base_s2s"),
        ("av_hubert_seq2seq", "avhubert_large_s2s"),
        ("av_hubert_seq2seq", "avhubert_s2s_small"),
        ("av_hubert_seq2seq", "avhubert_s2s_small_postnorm_untied"),
        ("auto_avsr", "auto_avsr_small"),
        ("auto_avsr", "auto_avsr_video"),
        ("auto_avsr", "vsr_multi_256_assumed"),
        ("auto_avsr", "vsr_multi_768_assumed"),
        ("syncnet", "syncnet_v2"),
        ("talklip", "talklip"),
        ("talklip", "talklip_small"),
        ("talklip_disc", "talklip_disc_qual"),
        ("wav2lip", "wav2lip"),
        ("wav2lip_disc", "wav2lip_disc_qual"),
        ("wav2lip_expert", "wav2lip_syncnet_color"),
    ],
)
def test_the_peers_shapes_give_the_peers_network(shared: Path, kind: str, keys: str) -> None:
    spec = KINDS[kind]
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in peer_keys(shared, keys).items()}
        state = _renamed(state, spec.renames)
        network = spec.network(**spec.sizes(PeerFile(state)))
    ours = {key: value.shape for key, value in network.state_dict().items()}
    assert ours == {key: value.shape for key, value in state.items() if not key.startswith(spec.leftovers or ("\0",))}


# peers' files


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_peers_file_gives_its_network(tmp_path: Path, kind: str, zipped: bool) -> None:
    network = small(kind)
    path = tmp_path / "peer.pt"
    torch.save(peer_content(kind, network), path, _use_new_zipfile_serialization=zipped)
    loaded = load(kind, path)
    assert_same(loaded, network)
    if kind.startswith("av_hubert"):
        config = loaded.config if kind == "av_hubert" else loaded.config.encoder
        assert config.n_heads == 8


def test_parallel_prefix_and_half_precision(tmp_path: Path) -> None:
    network = small("wav2lip_disc")
    path = tmp_path / "disc.pth"
    torch.save({"state_dict": {f"module.{key}": value for key, value in network.state_dict().items()}}, path)
    assert_same(load("wav2lip_disc", path), network)
    torch.save({key: value.half() for key, value in network.state_dict().items()}, path)
    assert all(value.dtype == torch.float32 for value in load("wav2lip_disc", path).state_dict().values())


def test_what_fine_tuning_left_behind_is_dropped(tmp_path: Path) -> None:
    reader, generator = small("av_hubert_seq2seq"), small("talklip")
    leftovers = {"mask_emb": torch.zeros(104), "label_embs_concat": torch.zeros(12, 8)}
    state = dict(reader.state_dict()) | {f"encoder.w2v_model.{key}": value for key, value in leftovers.items()}
    torch.save(state | {"decoder.embed_positions._float_tensor": torch.zeros(1)}, tmp_path / "reader.pt")
    assert_same(load("av_hubert_seq2seq", tmp_path / "reader.pt"), reader)
    state = dict(generator.state_dict()) | {f"audio_encoder.w2v_model.{key}": value for key, value in leftovers.items()}
    torch.save({"state_dict": state}, tmp_path / "generator.pt")
    assert_same(load("talklip", tmp_path / "generator.pt"), generator)


def test_names_of_the_older_conformer(tmp_path: Path) -> None:
    network = small("auto_avsr")
    older = {
        key.replace("frontend.", "encoder.frontend.", 1).replace("proj_encoder.", "encoder.embed.0."): value
        for key, value in network.state_dict().items()
    }
    assert_same(load("auto_avsr", saved_state(tmp_path / "older.pth", older)), network)


def test_files_without_batch_counters_are_read(tmp_path: Path) -> None:
    network = small("syncnet")
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "old.model")
    assert_same(load("syncnet", tmp_path / "old.model"), network)


def test_heads_of_an_old_configuration(tmp_path: Path) -> None:
    namespace = Namespace(encoder_attention_heads=16, layer_norm_first=True)
    torch.save({"args": namespace, "cfg": None, "model": small("av_hubert").state_dict()}, tmp_path / "old.pt")
    assert load("av_hubert", tmp_path / "old.pt").config.n_heads == 16


def test_peers_weights_as_plain_safetensors(tmp_path: Path) -> None:
    network = small("wav2lip")
    save_file(network.state_dict(), tmp_path / "converted.safetensors")
    assert_same(load("wav2lip", tmp_path / "converted.safetensors"), network)


def test_a_syncnet_of_another_image_size_is_read_from_our_file_only(tmp_path: Path) -> None:
    network = SyncNet(replace(SYNCNET, image_size=96))
    save(network, tmp_path / "ours")
    assert load("syncnet", tmp_path / "ours").config == network.config
    assert "'netcnnlip.18.weight' has shape" in refused("syncnet", saved_state(tmp_path / "f", network.state_dict()))


# files that do not fit


def test_a_missing_entry_is_named(tmp_path: Path) -> None:
    for kind in SMALL:
        state = dict(small(kind).state_dict())
        for key in (next(iter(state)), [key for key in state if key.endswith("bias")][-1]):
            without = {name: value for name, value in state.items() if name != key}
            message = refused(kind, saved_state(tmp_path / "f.pt", without))
            assert f"'{key}'" in message
            assert "missing" in message


def test_an_unknown_entry_is_named(tmp_path: Path) -> None:
    state: dict[str, Tensor] = dict(small("syncnet").state_dict()) | {"extra.weight": torch.zeros(2)}
    assert "'extra.weight' is not of this network" in refused("syncnet", saved_state(tmp_path / "f.pt", state))


def test_a_wrong_shape_is_named(tmp_path: Path) -> None:
    state = dict(small("syncnet").state_dict())
    state["netcnnlip.4.bias"] = torch.zeros(9)
    message = refused("syncnet", saved_state(tmp_path / "f.pt", state))
    assert "'netcnnlip.4.bias' has shape [9], not [4]" in message


@pytest.mark.parametrize("kind", SMALL)
def test_another_kind_is_named(tmp_path: Path, kind: str) -> None:
    path = saved_state(tmp_path / "f.pt", dict(small(kind).state_dict()))
    save(small(kind), tmp_path / "f.safetensors")
    for other in SMALL:
        if KINDS[other].network is not KINDS[kind].network:
            assert kind.removesuffix("_disc") in refused(other, path)
            assert "holds weights of" in refused(other, tmp_path / "f.safetensors")


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_a_truncated_file(tmp_path: Path, form: str, share: float) -> None:
    path = tmp_path / "cut"
    if form == "safetensors":
        save(small("syncnet"), path)
    else:
        torch.save(small("syncnet").state_dict(), path, _use_new_zipfile_serialization=form == "zip")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert "truncated or damaged" in refused("syncnet", path)


@pytest.mark.parametrize("content", [b"", b"\x80", b"not weights at all", b"PK\x03\x04 no archive"])
def test_no_file_of_weights(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "f").write_bytes(content)
    refused("syncnet", tmp_path / "f")


@pytest.mark.parametrize("content", [[1, 2], {}, {"a": 1}, {"state_dict": {"a": "b"}}, torch.zeros(3)])
def test_no_state_dict(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "f.pt")
    assert "state dict" in refused("syncnet", tmp_path / "f.pt")


def test_no_such_file_and_no_such_kind(tmp_path: Path) -> None:
    assert "no such file" in refused("syncnet", tmp_path / "f.pt")
    with pytest.raises(UserError, match="no such kind of weights; one of"):
        load("syncnett", tmp_path / "f.pt")


# our own files


@pytest.mark.parametrize("kind", OURS)
def test_our_file_gives_the_network_back(tmp_path: Path, kind: str) -> None:
    network = small(kind)
    path = tmp_path / "ours.safetensors"
    save(network, path, {"method": "test"})
    loaded = load(kind, path)
    assert_same(loaded, network)
    assert loaded.config == network.config
    assert KINDS[kind_of(path)].network is type(network)


def test_a_header_whose_length_looks_like_a_pickle(tmp_path: Path) -> None:
    for padding in range(256):  # the header is padded to whole eights: some length ends in 0x80
        save(small("syncnet"), tmp_path / "ours.safetensors", {"note": "x" * 8 * padding})
        if (tmp_path / "ours.safetensors").read_bytes()[:1] == b"\x80":
            break
    else:
        pytest.fail("no header came out with the length that was wanted")
    assert_same(load("syncnet", tmp_path / "ours.safetensors"), small("syncnet").eval())


def test_sizes_that_no_shape_shows_are_kept(tmp_path: Path) -> None:
    config = replace(ENCODER, n_heads=2, layer_norm_first=False, dropout=0.3)
    save(AVHubert(config), tmp_path / "ours.safetensors")
    assert load("av_hubert", tmp_path / "ours.safetensors").config == config


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    network = small("syncnet")
    for name in ("a", "b"):
        save(network, tmp_path / name, {"roi": "centre", "data": "0" * 32, "method": "m"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a", "b"]


def test_a_file_that_is_not_ours_does_not_say_its_kind(tmp_path: Path) -> None:
    save_file(small("syncnet").state_dict(), tmp_path / "f")
    with pytest.raises(UserError, match="does not say"):
        kind_of(tmp_path / "f")


def test_a_kind_of_ours_in_a_peers_file(tmp_path: Path) -> None:
    path = saved_state(tmp_path / "f.pt", dict(small("av_syncnet").state_dict()))
    assert "holds weights of av_hubert_seq2seq, not of av_syncnet" in refused("av_syncnet", path)


def test_a_header_of_another_version(tmp_path: Path) -> None:
    import json

    from synctalk.checkpoints.safetensors_file import HEADER

    header = {"kind": "syncnet", "configs": {"config": {"depth": 3}}, "metadata": {}}
    save_file(small("syncnet").state_dict(), tmp_path / "f", metadata={HEADER: json.dumps(header)})
    assert "header does not fit" in refused("syncnet", tmp_path / "f")


def test_a_network_of_no_kind_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no kind of weights for Linear"):
        save(nn.Linear(2, 2), tmp_path / "f")
