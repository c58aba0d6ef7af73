"""Files are whole or absent, a manifest means finished, and a folder has one living owner."""

from __future__ import annotations

import fcntl
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
from w2s_rm.runs.folder import StageFolder, is_weights, lock

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
    written = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert {name: value for name, value in written.items() if name != "checksum"} == record


def finished_stage(path: Path) -> StageFolder:
    """A folder with what a stage makes, and with what others put there."""
    for name in ("config.yaml", "model/model.safetensors", "model/tokenizer.json", "weak_labels.parquet"):
        write_text(path / name, f"content of {name}")
    for name in (".lock", "log.txt", "model/README.md", "trainer/checkpoint-1/optimizer.pt", "model/.cache/x"):
        write_text(path / name, "not a result")
    folder = StageFolder(path)
    folder.seal({"counts": {}})
    return folder


def test_a_manifest_vouches_for_what_the_stage_made_and_for_nothing_else(tmp_path: Path) -> None:
    folder = finished_stage(tmp_path)
    made = ["config.yaml", "model/model.safetensors", "model/tokenizer.json", "weak_labels.parquet"]
    assert list(folder.manifest()["files"]) == made
    (tmp_path / "log.txt").write_text("more of a log", encoding="utf-8")
    (tmp_path / "model" / "README.md").write_text("a card with results", encoding="utf-8")
    StageFolder(tmp_path).remove("trainer", ".lock")
    assert folder.finished and folder.problems(lambda name: True) == []


def test_a_stage_without_a_file_or_with_half_of_one_is_not_finished(tmp_path: Path) -> None:
    folder = finished_stage(tmp_path)
    whole = (tmp_path / "weak_labels.parquet").read_bytes()
    (tmp_path / "weak_labels.parquet").write_bytes(whole[:5])
    assert folder.was_finished and not folder.finished
    (tmp_path / "weak_labels.parquet").unlink()
    assert folder.problems(lambda name: False) == ["weak_labels.parquet is gone"]
    with pytest.raises(ArtifactError, match=f"{tmp_path}: weak_labels.parquet is gone; run the recipe again, which"):
        folder.verify(lambda name: False)


def test_a_flipped_bit_is_found_in_the_files_that_are_read(tmp_path: Path) -> None:
    folder = finished_stage(tmp_path)
    for name in ("model/model.safetensors", "model/tokenizer.json"):
        flipped = bytearray((tmp_path / name).read_bytes())
        flipped[3] ^= 1
        (tmp_path / name).write_bytes(flipped)
    assert folder.finished, "by the sizes alone"
    (problem,) = folder.problems(lambda name: not is_weights(name))
    assert problem == "model/tokenizer.json is not what was written (its checksum is another)"
    assert len(folder.problems(lambda name: True)) == 2


def test_the_manifest_of_an_older_version_is_not_trusted(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", {"stage": "weak", "counts": {}})
    assert not StageFolder(tmp_path).finished
    assert StageFolder(tmp_path).problems(bool) == ["manifest.json has no checksum: an older version wrote it"]


def test_whoever_waited_at_a_folder_that_was_set_aside_holds_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the opening of the lock and the locking of it its folder may be renamed."""
    path, flock, renamed = tmp_path / "stage", fcntl.flock, []

    def late(file: object, how: int) -> None:
        if not renamed:
            renamed.append(StageFolder(path).set_aside())
        flock(file, how)  # type: ignore[arg-type]

    monkeypatch.setattr(artifacts.fcntl, "flock", late)
    with lock(path):
        assert (path / ".lock").read_text(encoding="utf-8").startswith("process")
        assert (renamed[0] / ".lock").read_text(encoding="utf-8") == ""
        with pytest.raises(InUseError):
            lock(path).__enter__()


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"stage": ', encoding="utf-8")
    with pytest.raises(
        ArtifactError, match=r"manifest.json does not parse .*run the recipe again, which sets the folder aside"
    ):
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
    assert artifacts.code_revision.__wrapped__() == w2s_rm.__version__
