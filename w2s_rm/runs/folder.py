"""Stage folders: written once, finished when the manifest is there, never shared by two live processes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm import __version__
from w2s_rm.errors import ArtifactError, InUseError
from w2s_rm.files import write_json

MANIFEST = "manifest.json"
_PACKAGES = ("w2s-rm", "torch", "transformers", "trl", "peft", "accelerate", "deepspeed", "datasets")


@contextlib.contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the operating system lets go of it when the process dies, however it dies.

    Args:
        folder (`Path`): Made if absent; the lock lives beside its content as `.lock`.

    Raises:
        InUseError: A live process holds it; the message names the process.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Not emptied as it is opened: as long as another process holds it, it says which.
    with (folder / ".lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise InUseError(
                f"{folder} is in use by {holder}; wait for it or stop it, then run again (finished stages are kept)"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {os.uname().nodename}")
        file.flush()
        yield


def is_held(folder: Path) -> bool:
    """Whether a live process has the [`lock`] of a folder.

    Args:
        folder (`Path`): The folder.
    """
    try:
        with (folder / ".lock").open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@dataclass(frozen=True)
class StageFolder:
    """One folder of one stage.

    Args:
        path (`Path`): `runs/stages/<stage>-<hash12>`.
    """

    path: Path

    @property
    def finished(self) -> bool:
        """Whether the stage wrote its manifest."""
        return (self.path / MANIFEST).is_file()

    def manifest(self) -> dict[str, Any]:
        """Read the manifest.

        Raises:
            ArtifactError: The stage is not finished, or its manifest does not parse.
        """
        path = self.path / MANIFEST
        if not path.is_file():
            raise ArtifactError(f"{self.path} is not finished (no {MANIFEST}); run its recipe again to finish it")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ArtifactError(f"{path} does not parse ({error}); remove the folder and run again") from error
        return dict(content)

    def finish(self, *, stage: str, counts: Mapping[str, Any], config: Mapping[str, Any]) -> None:
        """Write the manifest, last and atomically.

        Args:
            stage (`str`): Name of the stage.
            counts (`Mapping[str, Any]`): What was read, cut and written.
            config (`Mapping[str, Any]`): The resolved config; its `inputs` and `seed` are recorded.
        """
        record = {
            "stage": stage,
            "hash": config.get("stage_hash"),
            "inputs": config.get("inputs", {}),
            "seed": config.get("seed"),
            "counts": dict(counts),
            "code_revision": code_revision(),
            "packages": package_versions(),
        }
        write_json(self.path / MANIFEST, record)

    def remove(self, *names: str) -> None:
        """Delete left-overs of an earlier, unfinished try."""
        for name in names:
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)


def code_revision() -> str:
    """Return the git revision of the package's checkout, `-dirty` when changed, or the version when installed."""
    import subprocess

    root = Path(__file__).resolve().parents[2]
    # In this very folder: an installed package may lie somewhere in a repository of its user's.
    if not (root / ".git").exists() or shutil.which("git") is None:
        return __version__
    run = subprocess.run(
        ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True
    )
    return run.stdout.strip() or "unknown"


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that a result depends on."""
    from importlib import metadata

    versions = {}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions
