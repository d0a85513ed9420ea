"""`load_generator`: any generator takes and makes RGB faces, ours as it is and the peers' with channels turned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from small_networks import small

from synctalk.checkpoints import save
from synctalk.checkpoints.importing import import_weights
from synctalk.checkpoints.typed import load_generator, load_supervisor
from synctalk.errors import UserError
from synctalk.models.generator import FaceGenerator, TalkLipGenerator, Wav2LipGenerator


def turned(faces: torch.Tensor) -> torch.Tensor:
    return faces.unflatten(1, (-1, 3)).flip(2).flatten(1, 2)


def made_by(model: FaceGenerator, faces: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(1)
    audio = torch.randn(1, 6, 80, 16) if model.audio_kind == "mel" else torch.randn(1, 6, 104)
    with torch.no_grad():
        return model.make(model.encode_audio(audio, None, torch.tensor([1, 4])).embedding, faces)


@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize(("kind", "network"), [("wav2lip", Wav2LipGenerator), ("talklip", TalkLipGenerator)])
def test_a_published_generator_sees_blue_first_and_is_given_red_first(
    tmp_path: Path, kind: str, network: type[FaceGenerator], imported: bool
) -> None:
    peer = small(kind).eval()
    assert isinstance(peer, network)
    path = tmp_path / "published.pth"
    torch.save({"state_dict": peer.state_dict()}, path)
    if imported:
        import_weights(kind, path, tmp_path / "ours.safetensors")
        path = tmp_path / "ours.safetensors"
    model = load_generator(path)
    assert type(model) is network
    faces = torch.rand(2, 6, 48, 48)
    torch.testing.assert_close(made_by(model, faces), turned(made_by(peer, turned(faces))), atol=1e-6, rtol=1e-5)
    assert not torch.allclose(made_by(model, faces), made_by(peer, faces), atol=1e-4)


@pytest.mark.parametrize("kind", ["wav2lip", "synctalklip"])
def test_a_generator_of_ours_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    ours = small(kind).eval()
    assert isinstance(ours, FaceGenerator)
    save(ours, tmp_path / "model.safetensors", {"method": "base"})
    model = load_generator(tmp_path / "model.safetensors")
    faces = torch.rand(2, 6, 48, 48)
    assert torch.equal(made_by(model, faces), made_by(ours, faces))


def test_what_generates_or_supervises_nothing_is_one_line(tmp_path: Path) -> None:
    save(small("syncnet"), tmp_path / "judge.safetensors")
    torch.save(small("wav2lip_expert").state_dict(), tmp_path / "expert.pth")
    for name, kind in (("judge.safetensors", "syncnet"), ("expert.pth", "wav2lip_expert")):
        with pytest.raises(UserError, match=f"holds weights of {kind}, and no generator"):
            load_generator(tmp_path / name)
    with pytest.raises(UserError, match="holds weights of syncnet, which supervises nothing"):
        load_supervisor(tmp_path / "judge.safetensors")
    with pytest.raises(UserError, match="no such file"):
        load_generator(tmp_path / "missing.pth")
