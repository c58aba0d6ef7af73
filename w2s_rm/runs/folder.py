"""Stage folders: written once, finished when the manifest is there, never shared by two live processes."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from w2s_rm import __version__
from w2s_rm.errors import ArtifactError, InUseError
from w2s_rm.files import changes, checksums, read_signed, set_aside, write_signed
from w2s_rm.runs.progress import PROGRESS

MANIFEST = "manifest.json"
METRICS = "metrics.jsonl"
"""What a training has logged, a line each time."""
LOG = "log.txt"
"""What a stage that Ray ran has printed, of each try."""
CARD = "model/README.md"
"""The card of a model: written again with each report of a run that uses it."""
UNFINISHED = "trainer"
"""What a training keeps while it runs: checkpoints, and what its trainer leaves besides."""
_WEIGHTS = ".safetensors"
REMEDY = "run the recipe again, which sets the folder aside and makes the stage anew"
"""What helps where a finished stage is not as it was made."""
# What `lock` writes.
_HOLDER = re.compile(r"process (\d+) on (.+)")
_PACKAGES = ("w2s-rm", "torch", "transformers", "trl", "peft", "accelerate", "deepspeed", "datasets")


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the operating system lets go of it when the process dies, however it dies.

    Args:
        folder (`Path`): Made if absent; the lock lives beside its content as `.lock`.

    Raises:
        InUseError: A live process holds it; the message names the process.
    """
    with _open_lock(folder) as file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


def _open_lock(folder: Path) -> TextIO:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        # Not emptied as it is opened: as long as another process holds it, it says which.
        file = (folder / ".lock").open("a+", encoding="utf-8")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            # Whoever has just taken the lock may not have written its name yet.
            holder = file.read().strip() or "another process"
            file.close()
            raise InUseError(
                f"{folder} is in use by {holder}; wait for it or stop it, then run again (finished stages are kept)"
            ) from None
        # Its last holder may have moved the folder away in between: then the lock went along.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), (folder / ".lock").stat()):
                return file
        file.close()


def is_held(folder: Path) -> bool:
    """Whether a live process has the [`lock`] of a folder.

    Args:
        folder (`Path`): The folder.
    """
    try:
        with (folder / ".lock").open(encoding="utf-8") as file:
            # Shared, so that two who look at the same time do not take each other for a holder.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def holder_lives(folder: Path) -> bool | None:
    """Whether the process lives that says in a folder's lock that it holds it; `None` on another machine than this.

    The lock itself is not touched: [`is_held`] has it for a moment, and a stage that begins in that moment would stop.

    Args:
        folder (`Path`): The folder.
    """
    import psutil

    path = folder / ".lock"
    try:
        said, since = _HOLDER.fullmatch(path.read_text(encoding="utf-8")), path.stat().st_mtime
    except (OSError, ValueError):
        return False
    if said is None or said[2] != os.uname().nodename:
        return None if said else False
    try:
        # A number is given again: a process that began after the lock was taken is another one.
        # A second is allowed for: psutil counts from the time of the boot, which the system tells in whole seconds.
        return psutil.Process(int(said[1])).create_time() <= since + 1
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class StageFolder:
    """One folder of one stage.

    Args:
        path (`Path`): `runs/stages/<stage>-<hash12>`.
    """

    path: Path

    @property
    def was_finished(self) -> bool:
        """Whether the stage has written its manifest, whatever became of its files since."""
        return (self.path / MANIFEST).is_file()

    @property
    def finished(self) -> bool:
        """Whether the stage has written its manifest, and all that it made is there, as large as it was."""
        # Sizes alone: this is asked of every stage of every plan, and to read all weights again would take minutes.
        return self.was_finished and not self.problems(lambda name: False)

    def problems(self, reads: Callable[[str], bool], needs: Callable[[str], bool] = lambda name: True) -> list[str]:
        """Say what of a finished stage is not as it was made: one line each, with the file's name.

        Args:
            reads (`Callable[[str], bool]`): Which files to read for this; of the others sizes are compared.
            needs (`Callable[[str], bool]`, *optional*): Which files must be there; others are not looked at.
        """
        try:
            files = {name: entry for name, entry in self._record()["files"].items() if needs(name)}
        except (OSError, ValueError) as error:
            return [f"{MANIFEST} {error}"]
        read = {name: entry for name, entry in files.items() if reads(name)}
        others = {name: entry for name, entry in files.items() if name not in read}
        return changes(self.path, others, content=False) + changes(self.path, read, content=True)

    def verify(self, reads: Callable[[str], bool]) -> None:
        """Refuse a finished stage that is not as it was made.

        Args:
            reads (`Callable[[str], bool]`): As for [`problems`].

        Raises:
            ArtifactError: Files that are not are named.
        """
        if problems := self.problems(reads):
            raise ArtifactError(f"{self.path}: {'; '.join(problems)}; {REMEDY}")

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises:
            ArtifactError: The stage is not finished, or its manifest is not what was written.
        """
        path = self.path / MANIFEST
        if not self.was_finished:
            raise ArtifactError(f"{self.path} is not finished (no {MANIFEST}); run its recipe again to finish it")
        try:
            return self._record()
        except ValueError as error:
            raise ArtifactError(f"{path} {error}; {REMEDY}") from error

    def _record(self) -> dict[str, Any]:
        return read_signed(self.path / MANIFEST)

    def finish(self, *, stage: str, counts: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Write the manifest, last and atomically, with size and checksum of every file that the stage made.

        Args:
            stage (`str`): Name of the stage.
            counts (`Mapping[str, Any]`): What was read, cut and written.
            config (`Mapping[str, Any]`): The resolved config; its `inputs` and `seed` are recorded.
        """
        self.seal(
            {
                "stage": stage,
                "hash": config.get("stage_hash"),
                "inputs": config.get("inputs", {}),
                "seed": config.get("seed"),
                "counts": dict(counts),
                "code_revision": code_revision(),
                "packages": dict(package_versions()),
            }
        )

    def seal(self, record: Mapping[str, Any]) -> None:
        """Write a manifest that vouches for what lies in the folder now.

        Args:
            record (`Mapping[str, Any]`): What it says besides.
        """
        write_signed(self.path / MANIFEST, {**record, "files": checksums(self.path, sorted(self._made()))})

    def _made(self) -> Iterator[str]:
        """The files that are the stage's results: not what those add or remove later who run it or report of it."""
        for path in self.path.rglob("*"):
            name = path.relative_to(self.path)
            # `.lock`, and what writes that were killed have left: `.<name>.….tmp`.
            hidden = any(part.startswith(".") for part in name.parts)
            beside = name.parts[0] in (MANIFEST, LOG, PROGRESS, UNFINISHED) or name.as_posix() == CARD
            if path.is_file() and not hidden and not beside:
                yield name.as_posix()

    def set_aside(self) -> Path:
        """Rename the folder of a stage that is to be made again, so that nothing of it is taken for a result.

        Returns:
            `Path`: Its place now, `<stage>-<hash12>.aside-<n>`.
        """
        return set_aside(self.path)

    def remove(self, *names: str) -> None:
        """Delete left-overs of an earlier, unfinished try."""
        for name in names:
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)


@functools.cache
def code_revision() -> str:
    """Return the git revision of the package's checkout, `-dirty` when changed, or the version when installed.

    It is asked for once: what a process has imported stays as it is.
    """
    import subprocess

    root = Path(__file__).resolve().parents[2]
    # In this very folder: an installed package may lie somewhere in a repository of its user's.
    if not (root / ".git").exists() or shutil.which("git") is None:
        return __version__
    run = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True
    )
    # Git prints nothing here where it refuses, as in a checkout that another user owns.
    return run.stdout.strip() or "unknown"


@functools.cache
def package_versions() -> Mapping[str, str]:
    """Return the installed versions of the packages that a result depends on."""
    from importlib import metadata

    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


def is_weights(name: str) -> bool:
    """Whether a file of a stage holds weights or features: large, and read by stages alone.

    Args:
        name (`str`): The file's name.
    """
    return name.endswith(_WEIGHTS)
