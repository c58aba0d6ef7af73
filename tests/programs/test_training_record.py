"""What an interrupted training goes on from: a checkpoint as it was written, and the metrics that it knows of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from training_helpers import COMMON
from transformers import TrainerControl, TrainerState, TrainingArguments

from w2s_rm.files import write_bytes
from w2s_rm.programs.training_record import StageRecord, clean, last_checkpoint
from w2s_rm.runs.folder import StageFolder


def arguments(folder: Path) -> TrainingArguments:
    names = ("report_to", "use_cpu", "disable_tqdm")
    return TrainingArguments(output_dir=str(folder / "trainer"), **{name: COMMON[name] for name in names})


def checkpoint(folder: Path, step: int) -> Path:
    """A checkpoint, as the trainer leaves it and the callback marks it."""
    place = folder / "trainer" / f"checkpoint-{step}"
    for name in ("model.safetensors", "optimizer.pt", "rng/rank0.pth"):
        write_bytes(place / name, f"{name} of step {step}".encode())
    StageRecord(folder).on_save(arguments(folder), TrainerState(global_step=step), TrainerControl())
    return place


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    assert last_checkpoint(StageFolder(tmp_path)) is None
    for step in (2, 10, 9):
        checkpoint(tmp_path, step)
    (tmp_path / "trainer" / "checkpoint-12").mkdir()
    assert last_checkpoint(StageFolder(tmp_path)) == str(tmp_path / "trainer" / "checkpoint-10")
    assert not (tmp_path / "trainer" / "checkpoint-12").exists()
    clean(StageFolder(tmp_path))
    assert not (tmp_path / "trainer").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "rng/rank0.pth", "complete"])
def test_a_checkpoint_with_a_flipped_bit_is_no_checkpoint(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    older, newer = checkpoint(tmp_path, 3), checkpoint(tmp_path, 6)
    content = bytearray((newer / name).read_bytes())
    content[len(content) // 2] ^= 16
    (newer / name).write_bytes(content)
    assert last_checkpoint(StageFolder(tmp_path)) == str(older)
    assert not newer.exists() and name in caplog.text and "training does not go on from it" in caplog.text


def test_metrics_begin_with_what_the_checkpoint_knows(tmp_path: Path) -> None:
    """The file may end in half of a line, and tell of steps that are taken again."""
    record, state = StageRecord(tmp_path), TrainerState(global_step=0)
    record.on_train_begin(arguments(tmp_path), state, TrainerControl())
    for step, loss in ((1, 0.5), (2, 0.25), (3, 0.125)):
        state.global_step = step
        # As the trainer does: first into its state, then to the callbacks.
        state.log_history.append({"loss": loss, "epoch": 0.1, "step": step})
        record.on_log(arguments(tmp_path), state, TrainerControl(), {"loss": loss, "epoch": 0.1})
    whole = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["loss"] for line in whole.splitlines()] == [0.5, 0.25, 0.125]
    (tmp_path / "metrics.jsonl").write_text(whole.replace("0.5", "0.7") + '{"step": 4, "lo', encoding="utf-8")
    resumed = TrainerState(global_step=2, log_history=state.log_history[:2])
    record.on_train_begin(arguments(tmp_path), resumed, TrainerControl())
    assert (tmp_path / "metrics.jsonl").read_text(encoding="utf-8") == "".join(whole.splitlines(keepends=True)[:2])


def test_metrics_hold_no_mean_that_depends_on_interruptions(tmp_path: Path) -> None:
    record, state = StageRecord(tmp_path), TrainerState(global_step=9)
    record.on_log(arguments(tmp_path), state, TrainerControl(), {"train_loss": 0.3, "total_flos": 5.0})
    assert json.loads((tmp_path / "metrics.jsonl").read_text(encoding="utf-8")) == {"step": 9, "total_flos": 5.0}
