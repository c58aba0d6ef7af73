"""Rows of a dataset from a file, a folder or a hub, each with the place it came from. No torch."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from w2s_rm.data.formats import SUFFIXES, bare_suffix, file_rows
from w2s_rm.errors import ConfigError, DataError, nearest
from w2s_rm.types import Row

_PACKAGE = "package:"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")

logger = logging.getLogger(__name__)


class KeptRows(Iterator[Row]):
    """The rows of a dataset that are used; how many are left out, and why, is counted, and logged in the end.

    Args:
        path (`str`): The dataset, for the log.
        rows (`Iterable[Row]`): All rows.
        why (`Callable[[Row], str | None]`): Says why a row is not used, in words that follow `12 rows`.
        most (`int`, *optional*): Stop reading after so many rows that are used.

    Raises:
        DataError: At the end, if all rows are left out.
    """

    def __init__(
        self, path: str, rows: Iterable[Row], why: Callable[[Row], str | None], most: int | None = None
    ) -> None:
        self.left_out = Counter[str]()
        self._rows = self._kept(path, rows, why, most)

    def __next__(self) -> Row:
        """Return the next row that is used."""
        return next(self._rows)

    def _kept(
        self, path: str, rows: Iterable[Row], why: Callable[[Row], str | None], most: int | None
    ) -> Iterator[Row]:
        kept = 0
        for row in rows:
            reason = why(row)
            if reason is None:
                kept += 1
                yield row
                # Before the next row is asked for, which may have to be downloaded.
                if kept == most:
                    break
            else:
                self.left_out[reason] += 1
        if self.left_out and not kept:
            raise nothing_left(path, self.left_out)
        for reason, count in self.left_out.items():
            logger.warning("%s: left out %d rows %s", path, count, reason)


def nothing_left(path: str, counts: Mapping[str, int]) -> DataError:
    """Build the error of a dataset of which every row is left out: it has another form than the task reads.

    Args:
        path (`str`): The dataset.
        counts (`Mapping[str, int]`): Reason to number of rows.
    """
    reasons = ", ".join(f"{count} {reason}" for reason, count in counts.items())
    return DataError(f"{path}: no row is left ({reasons}); choose the task and options that fit this dataset")


def resolve_path(text: str) -> str:
    """Turn a path option into a path: `~` is expanded, `package:module/sub/path` is found in an installed package.

    Args:
        text (`str`): A path, a hub id (returned unchanged) or `package:<top-level module>/<path inside it>`. The
            package is found without being imported.

    Raises:
        ConfigError: The package is not installed, or holds no such path.
    """
    if not text.startswith(_PACKAGE):
        return str(Path(text).expanduser()) if text.startswith("~") else text
    module, _, inside = text[len(_PACKAGE) :].partition("/")
    # Asked for a dotted name, find_spec imports its parent.
    spec = importlib.util.find_spec(module) if module.isidentifier() else None
    if spec is None:
        raise ConfigError(
            f"{text}: no package {module!r} is installed; `pip install {module.replace('_', '-')}`, or give a path"
        )
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    for folder in folders:
        if (folder / inside).exists():
            return str(folder / inside)
    where = ", ".join(map(str, folders)) or spec.origin
    raise ConfigError(f"{text}: there is no {inside!r} in the package {module!r} ({where}); correct the path")


def is_hub_id(path: str) -> bool:
    """Whether `path` is taken for a hub id: nothing local has that name, and it does not end like a data file."""
    name = path[:-3] if path.endswith(".gz") else path
    return not Path(path).exists() and not name.endswith(SUFFIXES) and _HUB_ID.fullmatch(path) is not None


def content_version(path: str, *, revision: str | None = None) -> str:
    """Identify the content of a dataset: a hash for what is local, id and revision for a hub.

    Args:
        path (`str`): As for [`read_rows`].
        revision (`str`, *optional*): Revision of a hub dataset. Without it the version is `hub:<id>@main`, which moves
            when the dataset does: name a commit for a run that can be repeated.

    Raises:
        DataError: A local file or folder does not exist.
    """
    local = Path(resolve_path(path))
    if local.is_file():
        return f"sha256:{_file_hash(local)}"
    if local.is_dir():
        # Names too, because they say which split a file is of.
        files = [(file.relative_to(local).as_posix(), _file_hash(file)) for file in _all_files(local)]
        return f"sha256:{hashlib.sha256(json.dumps(files).encode()).hexdigest()}"
    if is_hub_id(path):
        # Without a network its content cannot be asked for: a name of a revision is all there is, and a commit the only
        # one that stays.
        return f"hub:{path}@{revision or 'main'}"
    raise _missing(path)


def read_rows(
    path: str | Path,
    split: str | None = None,
    *,
    config_name: str | None = None,
    revision: str | None = None,
    data_dir: str | None = None,
) -> Iterator[Row]:
    """Read a dataset row by row.

    Args:
        path (`str` or `Path`): JSONL, CSV (both also gzipped) or Parquet file; a folder of such files; a folder written
            by `datasets.save_to_disk`; a hub id. `package:` paths as in [`resolve_path`].
        split (`str`, *optional*): Of a single file, the rows whose column `split` has this value; of a folder of files,
            the files named `<split>.*` or `<split>-*`; of a saved dataset or a hub dataset, its split (`a+b` for two).
            Saved and hub datasets with several splits need it.
        config_name (`str`, *optional*): Configuration of a hub dataset.
        revision (`str`, *optional*): Branch, tag or commit of a hub dataset.
        data_dir (`str`, *optional*): Sub-folder of a folder or of a hub dataset.

    Raises:
        DataError: Missing, empty, broken or truncated file (with its line), unknown split, unreachable hub.
    """
    text = resolve_path(str(path))
    if is_hub_id(text):
        return _hub_rows(text, split, config_name, revision, data_dir)
    local = Path(text) / data_dir if data_dir else Path(text)
    if not local.exists():
        raise _missing(str(local))
    return _not_empty(_folder_rows(local, split) if local.is_dir() else _one_file_rows(local, split), str(local))


def require_columns(row: Row, columns: Mapping[str, str]) -> None:
    """Check that a row has the columns that options name.

    Args:
        row (`Row`): Any row of the dataset.
        columns (`Mapping[str, str]`): Option to the column it names.

    Raises:
        DataError: Names each missing column, the nearest right one and the columns there are.
    """
    missing = [
        f"no column {column!r} (option {option}); {nearest(column, row.values)}"
        for option, column in columns.items()
        if column not in row.values
    ]
    if missing:
        raise DataError(f"{row.place}: {'; '.join(missing)} (columns there are: {', '.join(row.values)})")


def _missing(path: str) -> DataError:
    folder = Path(path).parent
    there = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    hint = f"; {nearest(Path(path).name, there)}" if there and len(there) <= 50 else ""
    return DataError(f"{path}: no such file or folder{hint}")


def _file_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _all_files(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    # Caches and version control leave hidden files, which are no data.
    return [path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def _not_empty(rows: Iterator[Row], source: str) -> Iterator[Row]:
    count = 0
    for count, row in enumerate(rows, start=1):  # noqa: B007
        yield row
    # Known only at the end: rows are passed on as they are read.
    if not count:
        raise DataError(f"{source}: holds no rows")


def _one_file_rows(path: Path, split: str | None) -> Iterator[Row]:
    rows = file_rows(path)
    if split is None:
        yield from rows
        return
    # What there is, for the message: a name that no row has is a mistake, and no empty dataset.
    seen, matched = set(), False
    for row in rows:
        require_columns(row, {"split": "split"})
        seen.add(str(row.values["split"]))
        if row.values["split"] == split:
            matched = True
            yield row
    if not matched:
        raise DataError(f"{path}: no row has split {split!r}; {nearest(split, seen)}")


def _folder_rows(folder: Path, split: str | None) -> Iterator[Row]:
    # What `save_to_disk` of `datasets` leaves: the first of a dictionary of splits, the second of a dataset.
    if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
        yield from _saved_rows(folder, split)
        return
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and bare_suffix(path) in SUFFIXES]
    if not files:
        within = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise DataError(f"{folder}: no data files ({', '.join(SUFFIXES)}) and no saved dataset; it holds {within}")
    # As `train.jsonl`, or in parts, as the hub's `train-00000-of-00002.parquet`.
    chosen = [path for path in files if split is None or re.match(rf"{re.escape(split)}[.-]", path.name)]
    if not chosen:
        within = ", ".join(path.name for path in files)
        raise DataError(f"{folder}: no file is named {split}.* or {split}-*; it holds {within}")
    for path in chosen:
        yield from _not_empty(file_rows(path), str(path))


def _saved_rows(folder: Path, split: str | None) -> Iterator[Row]:
    import datasets

    try:
        saved = datasets.load_from_disk(str(folder))
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: a saved dataset that cannot be read ({error}); save it again") from error
    yield from _dataset_rows(str(folder), saved, split)


def _hub_rows(
    name: str, split: str | None, config_name: str | None, revision: str | None, data_dir: str | None
) -> Iterator[Row]:
    import datasets

    try:
        loaded = datasets.load_dataset(name, config_name, split=split, revision=revision, data_dir=data_dir)
    # The hub's client raises errors of a dozen unrelated types, builtin and from several libraries.
    except Exception as error:
        raise DataError(
            f"{name}: no local file or folder has this name, and as a hub dataset it could not be loaded "
            f"({type(error).__name__}: {error}). Check name, config_name, split and network, or give a local path"
        ) from error
    # A dataset is what `load_dataset` gives for one split; only of a dictionary is the split still to be taken.
    yield from _dataset_rows(name, loaded, split if isinstance(loaded, dict) else None)


def _dataset_rows(name: str, dataset: Any, split: str | None) -> Iterator[Row]:
    """Rows of a `Dataset`, or of the named splits of a `DatasetDict`."""
    if not isinstance(dataset, dict):
        if split is not None:
            raise DataError(f"{name}: holds one dataset without splits; remove the option split")
        parts = {name: dataset}
    else:
        # `train+test`, as `datasets` writes several splits.
        split_names = list(dataset) if split is None else split.split("+")
        if split is None and len(split_names) > 1:
            raise DataError(f"{name}: has the splits {', '.join(dataset)}; name one in the option split")
        for part in split_names:
            if part not in dataset:
                raise DataError(f"{name}: no split {part!r}; {nearest(part, dataset)}")
        parts = {f"{name}[{part}]": dataset[part] for part in split_names}
    for source, part in parts.items():
        yield from _not_empty((Row(f"{source} row {i}", row) for i, row in enumerate(part, start=1)), source)
