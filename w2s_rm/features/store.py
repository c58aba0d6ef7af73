"""Features of examples on disk: shards that are whole or not there, found again by the ids of examples.

Shape suffixes: F things that are scored (candidates, or prompts), in one flat row, D width.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from w2s_rm.errors import ArtifactError, DataError, join_problems
from w2s_rm.files import digest, write_bytes

_COUNTS = "counts"
_UNREADABLE = (OSError, SafetensorError, KeyError, TypeError)


@dataclass(frozen=True)
class FeatureTable:
    """The features of some examples, in their order.

    Args:
        values_FD (`Tensor` of shape `(F, D)`): Float32.
        counts (`list[int]`): How many rows each example has.
    """

    values_FD: Tensor
    counts: list[int]


def shard_path(folder: Path, number: int) -> Path:
    """Return where a shard lies.

    Args:
        folder (`Path`): Of all shards.
        number (`int`): From 0.
    """
    return folder / f"shard-{number:05d}.safetensors"


def write_shard(path: Path, ids: Sequence[str], counts: Sequence[int], columns: Mapping[str, Tensor], key: str) -> None:
    """Write a shard beside its place and rename it.

    Kept are 16 bits: float16, which has the finer steps, or bfloat16 for a column with values that float16 cannot hold.

    Args:
        path (`Path`): From [`shard_path`]; its folder is made.
        ids (`Sequence[str]`): Of the examples.
        counts (`Sequence[int]`): Rows of each.
        columns (`Mapping[str, Tensor]`): By name, of shape `(F, D)`, finite.
        key (`str`): Identifies what the features were made of.
    """
    tensors = {name: _halved(values_FD).contiguous().cpu() for name, values_FD in columns.items()}
    named, content = json.dumps(list(ids)), {_COUNTS: torch.tensor(counts), **tensors}
    # With a digest, for safetensors has no checksum: a shard with changed bytes would load.
    save_tensors(path, content, {"ids": named, "key": key, "sha256": _digest(named, content)})


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file beside its place and rename it; the same content is the same bytes.

    Safetensors itself writes metadata in an order that is another in every file. Source of the format: a length of 8
    bytes, a header of JSON, the data (https://github.com/huggingface/safetensors).

    Args:
        path (`Path`): The file; its folder is made.
        tensors (`Mapping[str, Tensor]`): By name.
        metadata (`Mapping[str, str]`): By name.
    """
    written = save(dict(tensors), dict(metadata))
    end = 8 + int.from_bytes(written[:8], "little")
    header = {**json.loads(written[8:end]), "__metadata__": dict(sorted(metadata.items()))}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # Data begin at a multiple of 8 bytes.
    text += b" " * (-len(text) % 8)
    write_bytes(path, len(text).to_bytes(8, "little") + text + written[end:])


def _digest(ids: str, tensors: Mapping[str, Tensor]) -> str:
    parts = [ids.encode()]
    for name in sorted(tensors):
        tensor = tensors[name]
        # Type and shape too: the same bytes may be another table.
        parts += [f"{name} {tensor.dtype} {list(tensor.shape)} ".encode(), tensor.view(torch.uint8).numpy().tobytes()]
    return digest(b"".join(parts))


def _halved(values_FD: Tensor) -> Tensor:
    fits = float(values_FD.abs().max()) <= torch.finfo(torch.float16).max
    return values_FD.to(torch.float16 if fits else torch.bfloat16)


def shard_key(path: Path) -> str | None:
    """Return what identifies the content of a shard; `None` if it is not there, or not as it was written.

    Args:
        path (`Path`): From [`shard_path`].
    """
    try:
        with safe_open(path, "pt") as shard:
            known, tensors = shard.metadata(), {name: shard.get_tensor(name) for name in shard.offset_keys()}
            return str(known["key"]) if known["sha256"] == _digest(known["ids"], tensors) else None
    except _UNREADABLE:
        return None


def _unreadable(path: Path, error: Exception) -> ArtifactError:
    return ArtifactError(f"{path}: cannot be read ({error}); delete its folder and run the recipe again")


def read_features(folder: Path, column: str, ids: Sequence[str]) -> FeatureTable:
    """Read the features of examples.

    Args:
        folder (`Path`): Of the shards.
        column (`str`): Which features.
        ids (`Sequence[str]`): The examples, in the order that is wanted.

    Raises:
        DataError: Examples have no features.
        ArtifactError: A shard cannot be read, or lacks the column.
    """
    wanted = {name: place for place, name in enumerate(ids)}
    features: list[Tensor | None] = [None] * len(ids)
    # Examples lie there by length, so that those that are wanted may be in any of them.
    for path in sorted(folder.glob("shard-*.safetensors")):
        for name, values_KD in _rows(path, column):
            if name in wanted:
                # 16 bits save room on the disk; what is computed from them is not to be rounded again.
                features[wanted[name]] = values_KD.float()
    missing = [f"id {name!r}: no features" for name, values_KD in zip(ids, features, strict=True) if values_KD is None]
    if missing:
        raise DataError(join_problems(f"{folder}: does not hold the features of all {len(ids)} examples", missing))
    rows = [values_KD for values_KD in features if values_KD is not None]
    return FeatureTable(torch.cat(rows), [len(values_KD) for values_KD in rows])


class StoredRows:
    """Reads the rows of single examples from the disk, as they are asked for.

    Args:
        folder (`Path`): Of the shards.
        column (`str`): Which features.

    Raises:
        ArtifactError: A shard cannot be read.
    """

    def __init__(self, folder: Path, column: str) -> None:
        self._folder = folder
        # Of each example the slice of its shard, which the operating system maps into memory, and where it stands.
        self._places: dict[str, tuple[Any, int, int]] = {}
        for path in sorted(folder.glob("shard-*.safetensors")):
            try:
                # Kept open: its slices are read later.
                shard = safe_open(path, "pt").__enter__()
                names, counts = json.loads(shard.metadata()["ids"]), shard.get_tensor(_COUNTS).tolist()
                values_FD = shard.get_slice(column)
            except _UNREADABLE as error:
                raise _unreadable(path, error) from error
            for name, end, count in zip(names, accumulate(counts), counts, strict=True):
                self._places[name] = values_FD, end - count, end

    def __call__(self, ids: Sequence[str]) -> list[Tensor]:
        """Return the rows of each example, of shape `(F, D)`, in 16 bits.

        Args:
            ids (`Sequence[str]`): The examples.

        Raises:
            DataError: Some have no features.
        """
        missing = [f"id {name!r}: no features" for name in ids if name not in self._places]
        if missing:
            raise DataError(join_problems(f"{self._folder}: does not hold all that is asked for", missing))
        return [values_FD[start:end] for values_FD, start, end in map(self._places.__getitem__, ids)]


def _rows(path: Path, column: str) -> Iterator[tuple[str, Tensor]]:
    """The features of each example of a shard."""
    try:
        with safe_open(path, "pt") as shard:
            names, counts = json.loads(shard.metadata()["ids"]), shard.get_tensor(_COUNTS).tolist()
            values_FD = shard.get_tensor(column)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error
    return zip(names, values_FD.split(counts), strict=True)
