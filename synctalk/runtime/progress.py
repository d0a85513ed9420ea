"""Progress bars."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm


def progress_bar(**options: Any) -> tqdm[Any]:  # noqa: ANN401  # tqdm's own options
    """A progress bar; where the output is no terminal, a line every ten seconds instead of a moving one."""
    return tqdm(mininterval=0.5 if sys.stderr.isatty() else 10.0, dynamic_ncols=True, **options)
