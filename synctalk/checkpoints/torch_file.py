"""Files written by `torch.save`, read without running what they hold.

A pickle names classes and functions to call. Here tensors and plain containers are made; objects of the trainers that
the peers used (fairseq's dictionaries, for instance) become records of what the pickle says about them; any other
name is an error.
"""

from __future__ import annotations

import io
import mmap
import pickle
import pickletools
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import IO

import torch

from synctalk.errors import UserError

ZIP_MAGIC = b"PK\x03\x04"
PICKLE_MAGIC = b"\x80"

FOREIGN_PACKAGES = frozenset(
    {"argparse", "avhubert", "enum", "examples", "fairseq", "hubert", "hubert_asr", "hubert_pretraining", "hydra"}
    | {"lightning", "omegaconf", "pathlib", "pytorch_lightning", "sentencepiece"}
)
"""Packages whose objects may stand in a peer's checkpoint beside the weights."""
FOREIGN_NAMES = frozenset(
    {"collections.defaultdict", "typing.Any", "numpy.dtype", "numpy.ndarray"}
    | {f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")}
)


SIZES = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "FRAME"})
"""Opcodes that make the unpickler take memory by their argument."""
LEGACY_PICKLES = 5
"""The older format: magic number, protocol, machine, object and keys of the storages, one pickle after the other."""
DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What a damaged pickle or zip makes of torch and pickle."""


class Foreign:
    """An object of a class that is not here.

    Attributes:
        origin: full name of the class.
        args: what it would have been made of.
        state: what it would have been filled with.
    """

    origin = ""

    def __new__(cls, *args: object, **_kwargs: object) -> Foreign:
        made = super().__new__(cls)
        made.args, made.state = args, None
        return made

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        self.args: tuple[object, ...]
        self.state: object

    def __setstate__(self, state: object) -> None:
        self.state = state

    def __setitem__(self, key: object, value: object) -> None:
        """Items of a foreign mapping are not needed."""

    def append(self, item: object) -> None:
        """Items of a foreign list are not needed."""

    def extend(self, items: Iterable[object]) -> None:
        """Items of a foreign list are not needed."""


class _ForbiddenName(pickle.UnpicklingError):
    """The pickle wants something that could run code."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        full = f"{module}.{name}"
        if full in _known():
            return _known()[full]
        if full in FOREIGN_NAMES or module.partition(".")[0] in FOREIGN_PACKAGES:
            return _foreign_class(full)
        raise _ForbiddenName(full)


def _load(file: IO[bytes], *, encoding: str = "utf-8") -> object:
    return _Unpickler(file, encoding=encoding).load()


_RESTRICTED_PICKLE = SimpleNamespace(__name__="restricted_pickle", Unpickler=_Unpickler, load=_load)


@cache
def _foreign_class(full: str) -> type[Foreign]:
    return type(full.rpartition(".")[2], (Foreign,), {"origin": full})


@cache
def _known() -> dict[str, object]:
    """Names that stand for themselves, or for a harmless version of themselves."""
    from torch import _utils

    rebuild: list[Callable[..., object]] = [
        _utils._rebuild_tensor,
        _utils._rebuild_tensor_v2,
        _utils._rebuild_parameter,
    ]
    dtypes = {f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
    plain = {f"builtins.{kind.__name__}": kind for kind in (set, frozenset, bytearray, complex, slice, range)}
    return {
        **{f"torch._utils.{function.__name__}": function for function in rebuild},
        **dtypes,
        **plain,
        "torch.Size": torch.Size,
        "torch.device": torch.device,
        "torch.nn.parameter.Parameter": torch.nn.Parameter,
        "collections.OrderedDict": OrderedDict,
        "_codecs.encode": _encode,
        "builtins.getattr": _member,
        "copyreg._reconstructor": _reconstruct,
    }


def _encode(text: str, encoding: str = "utf-8") -> bytes:
    """How protocol 2 spells bytes."""
    if encoding != "latin1":
        raise _ForbiddenName(f"_codecs.encode to {encoding}")
    return text.encode("latin1")


def _member(owner: object, name: str) -> Foreign:
    """How newer Pythons spell a member of an enumeration."""
    return _reconstruct(owner, object, name)


def _reconstruct(cls: object, _base: object, state: object) -> Foreign:
    """How protocols 0 and 1 spell a new object."""
    if not (isinstance(cls, type) and issubclass(cls, Foreign)):
        raise _ForbiddenName(f"an attribute or a copy of {cls}")
    return cls(state)


def is_torch_file(head: bytes) -> bool:
    """Whether a file that begins with the nine bytes `head` may have been written by `torch.save`.

    A safetensors file begins with the length of its header, which may look like a pickle, and a brace.
    """
    return head.startswith(ZIP_MAGIC) or (head.startswith(PICKLE_MAGIC) and head[8:9] != b"{")


def read_torch_file(path: Path) -> object:
    """What `torch.save` was given, tensors on the CPU and foreign objects as `Foreign`.

    Raises:
        UserError: truncated or damaged, or it names something that could run code.
    """
    zipped = zipfile.is_zipfile(path)
    try:
        if zipped and _is_torchscript(path):
            raise UserError(path, "is a TorchScript program and not a file of weights")
        _require_sane_sizes(path, zipped=zipped)
        return torch.load(path, map_location="cpu", pickle_module=_RESTRICTED_PICKLE, weights_only=False, mmap=zipped)
    except _ForbiddenName as error:
        raise UserError(path, f"wants to use {error}, which could run code; it was not read") from error
    except DAMAGE as error:
        first_line = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(path, f"truncated or damaged ({first_line})", "fetch it again") from error


def _require_sane_sizes(path: Path, *, zipped: bool) -> None:
    """Refuse a pickle that asks for more than it has bytes: one turned bit in a place of its memo takes gigabytes.

    Raises:
        UnpicklingError: it does; or what `DAMAGE` names.
    """
    if zipped:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith("data.pkl"):
                    if info.file_size > path.stat().st_size:
                        raise pickle.UnpicklingError("the archive is smaller than what is in it")
                    _check_opcodes(io.BytesIO(archive.read(info)), info.file_size)
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
        for _ in range(LEGACY_PICKLES):
            _check_opcodes(whole, len(whole))


def _check_opcodes(stream: IO[bytes] | mmap.mmap, size: int) -> None:
    """Go through a pickle without making anything of it."""
    for code, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]  # an mmap reads as a file does
        if code.name in SIZES and isinstance(argument, int) and argument > size:
            raise pickle.UnpicklingError("the pickle asks for more than it has bytes")


def _is_torchscript(path: Path) -> bool:
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())
