"""The one door to torchaudio, whose wheels link CUDA and do not import beside a CPU build of torch.

Its functional and transforms are plain Python; only the compiled extension (filters and alignment, not used here) needs
the library. Where it cannot be loaded, the extension is put aside for the time of the import.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType


@cache
def load_torchaudio() -> ModuleType:
    """torchaudio, with its compiled extension where that loads and without it elsewhere."""
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _without_library()
        return importlib.import_module("torchaudio")


def _without_library() -> ModuleType:
    """Stands for `torchaudio._extension` with the answers that it gives where no library was built."""
    extension = ModuleType("torchaudio._extension")
    extension._IS_TORCHAUDIO_EXT_AVAILABLE = False  # type: ignore[attr-defined]
    extension.fail_if_no_align = lambda function: function  # type: ignore[attr-defined]
    return extension
