"""The user's cache folder: what is costly to make and the same whenever it is made again. No torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from w2s_rm.files import replacing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def cache_folder() -> Path:
    """Return where pretrained models and prepared corpora are kept: `$W2S_RM_CACHE`, else the user's cache folder."""
    folder = os.environ.get("W2S_RM_CACHE")
    if folder:
        return Path(folder).resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).resolve() if base else Path.home() / ".cache") / "w2s-rm"


def write_arrays(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write an `.npz` file completely or not at all.

    Args:
        path (`Path`): Where it goes; the folder is made.
        arrays (`Mapping[str, NDArray]`): The content.
    """
    # Every plan asks for the folder, and numpy is half of what it would import.
    import numpy as np

    # An open file, because numpy adds `.npz` to a name, and the unfinished file has one of its own.
    with replacing(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]
