"""Models in files of the format GGUF: what the head of such a file says, without its weights.

Source of the format: the specification in `docs/gguf.md` of ggml-org/ggml.
"""

from __future__ import annotations

import importlib.util
import struct
from pathlib import Path
from typing import Any, BinaryIO

from w2s_rm.errors import ConfigError

SUFFIX = ".gguf"
_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
# By the number of a type: how `struct` reads it.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def is_gguf(path: str) -> bool:
    """Whether a path names a file of this format.

    Args:
        path (`str`): Where a model is.
    """
    return path.endswith(SUFFIX)


def require_gguf(path: str) -> None:
    """Refuse a file of this format where nothing is installed that reads its weights.

    Args:
        path (`str`): The file.

    Raises:
        ConfigError: The package `gguf` is not installed.
    """
    if importlib.util.find_spec("gguf") is None:
        raise ConfigError(f"{path}: reading this format needs the package gguf; pip install 'w2s-rm[models]'")


def gguf_layers(path: str) -> int | None:
    """Return the number of a model's layers; `None` where the file does not tell.

    Args:
        path (`str`): The file.

    Raises:
        ConfigError: It is none of this format, or ends too early.
    """
    with Path(path).open("rb") as file:
        try:
            if file.read(4) != _MAGIC:
                raise ConfigError(f"{path}: is no GGUF file, whatever its name says; give another")
            # Version, number of tensors, number of entries in the head.
            _, _, count = _unpack(file, "IQQ")
            for _ in range(count):
                # Entries stand one after the other with no table of their places: each must be read to find the next.
                name, value = _value(file, _STRING), _value(file, *_unpack(file, "I"))
                # What comes after it are the many words of the vocabulary.
                if name.endswith(b".block_count"):
                    return int(value)
        except struct.error as error:
            raise ConfigError(f"{path}: is no whole GGUF file, it ends in its head; download it again") from error
    return None


def _unpack(file: BinaryIO, form: str) -> tuple[Any, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))


def _value(file: BinaryIO, kind: int) -> Any:
    if kind in _SCALARS:
        return _unpack(file, _SCALARS[kind])[0]
    if kind == _STRING:
        (length,) = _unpack(file, "Q")
        return file.read(length)
    if kind != _ARRAY:
        raise struct.error(f"no type {kind}")
    inner, count = _unpack(file, "IQ")
    return [_value(file, inner) for _ in range(count)]
