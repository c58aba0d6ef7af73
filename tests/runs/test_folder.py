"""Files are whole or absent, a manifest means finished, and a folder has one living owner."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import w2s_rm
from w2s_rm.errors import ArtifactError, InUseError
from w2s_rm.files import write_json, write_text, write_yaml
from w2s_rm.runs import folder as artifacts
from w2s_rm.runs.folder import StageFolder, lock

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from w2s_rm.runs.folder import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_write_text_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    write_text(path, "first é")
    write_text(path, "second")
    assert path.read_text(encoding="utf-8") == "second"
    assert os.listdir(path.parent) == ["b.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "b.txt"
    write_text(path, "old")

    def full(_: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(artifacts.os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["b.txt"]


def test_json_and_yaml(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1.5, "a": "é"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "b": 1.5,\n  "a": "é"\n}\n'
    write_yaml(tmp_path / "a.yaml", {"b": 1e-05, "a": [1]})
    assert (tmp_path / "a.yaml").read_text(encoding="utf-8") == "b: 1.0e-05\na:\n- 1\n"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "nan.json", {"a": math.nan})
    assert not (tmp_path / "nan.json").exists()


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    try:
        with pytest.raises(
            InUseError, match=f"{folder} is in use by process {process.pid} on .*; wait for it or stop it"
        ):
            lock(folder).__enter__()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    with lock(folder):
        assert (folder / ".lock").read_text(encoding="utf-8").startswith(f"process {os.getpid()} on ")


def test_a_lock_is_held_once_and_let_go_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), lock(tmp_path):
        with pytest.raises(InUseError):
            lock(tmp_path).__enter__()
        raise ZeroDivisionError
    with lock(tmp_path):
        pass


def test_a_manifest_means_finished(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path)
    assert not folder.finished
    with pytest.raises(ArtifactError, match="is not finished .*run its recipe again"):
        folder.manifest()
    folder.finish(stage="weak", counts={"rows": 3}, config={"stage_hash": "abc", "inputs": {"base": "x"}, "seed": 5})
    assert folder.finished
    record = folder.manifest()
    assert {key: record[key] for key in ("stage", "hash", "inputs", "seed", "counts")} == {
        "stage": "weak",
        "hash": "abc",
        "inputs": {"base": "x"},
        "seed": 5,
        "counts": {"rows": 3},
    }
    assert record["code_revision"]
    assert record["packages"]["torch"][0].isdigit()
    assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8")) == record


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"stage": ', encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"manifest.json does not parse .*remove the folder and run again"):
        StageFolder(tmp_path).manifest()


def test_remove_takes_files_folders_and_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "model.tmp").mkdir()
    (tmp_path / "model.tmp" / "x").touch()
    (tmp_path / "metrics.jsonl").touch()
    (tmp_path / "kept").touch()
    StageFolder(tmp_path).remove("model.tmp", "metrics.jsonl", "absent")
    assert os.listdir(tmp_path) == ["kept"]


def test_the_code_revision_without_git_is_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts.shutil, "which", lambda _: None)
    assert artifacts.code_revision() == w2s_rm.__version__
