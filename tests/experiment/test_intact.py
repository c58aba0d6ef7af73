"""What a run does with finished stages whose files are not as they were made."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from w2s_rm.errors import ArtifactError, InUseError
from w2s_rm.experiment.intact import set_aside_changed
from w2s_rm.files import write_json, write_text
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.runs.plan import PlannedStage, Run, check_intact
from w2s_rm.stages import Labels, Model, Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class Training(Stage):
    version: ClassVar[int] = 1
    number: int
    labels: Labels | None = None

    @property
    def model(self) -> Model:
        return self.made(Model, "model")


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelling(Stage):
    version: ClassVar[int] = 1
    model_name_or_path: Model

    @property
    def weak_labels(self) -> Labels:
        return self.made(Labels, "weak_labels.parquet")


def finish(stage: Stage) -> None:
    for name in ("model/model.safetensors", "model/config.json", "weak_labels.parquet"):
        write_text(stage.folder / name, f"{name} of {stage.hash}")
    StageFolder(stage.folder).seal({"counts": {}})


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4] ^= 8
    path.write_bytes(content)


@pytest.fixture
def stages(tmp_path: Path) -> list[Stage]:
    """A weak model, its labels, a student: finished, each after what it reads."""
    weak = Training(runs=tmp_path, number=0)
    labels = Labelling(runs=tmp_path, model_name_or_path=weak.model)
    made: list[Stage] = [weak, labels, Training(runs=tmp_path, number=1, labels=labels.weak_labels)]
    for stage in made:
        finish(stage)
    return made


def run(stages: list[Stage]) -> list[str]:
    """What a run says before it begins."""
    said: list[str] = []
    set_aside_changed(stages, said.append)
    return said


def test_what_is_as_it_was_made_stays(stages: list[Stage]) -> None:
    # A stage stands in a plan once for each of its roles.
    assert run([stages[0], stages[1], dataclasses.replace(stages[1], of="labels"), stages[2]]) == []
    assert all(stage.cached for stage in stages)


@pytest.mark.parametrize("name", ["weak_labels.parquet", "model/config.json"])
def test_a_result_with_a_flipped_bit_is_set_aside_and_named(stages: list[Stage], name: str) -> None:
    flip(stages[1].folder / name)
    assert stages[1].cached, "planning looks at sizes"
    (said,) = run(stages)
    assert said == (
        f"! {stages[1].folder.name}: {name} is not what was written (its checksum is another): set aside as "
        f"{stages[1].folder.name}.aside-1, made again"
    )
    assert [stage.cached for stage in stages] == [True, False, True] and not stages[1].folder.exists()
    # Nothing is thrown away: a hand may have changed it on purpose.
    assert (stages[1].folder.with_name(f"{stages[1].folder.name}.aside-1") / name).is_file()


def test_weights_are_read_when_something_that_is_to_run_reads_them(stages: list[Stage]) -> None:
    flip(stages[0].folder / "model" / "model.safetensors")
    assert run(stages) == [], "labels are made of it, and nobody reads it again"
    flip(stages[1].folder / "weak_labels.parquet")
    said = run(stages)
    # What made the labels is found because they are to be made again.
    assert [line.split(":")[0] for line in said] == [f"! {stages[1].folder.name}", f"! {stages[0].folder.name}"]
    assert [stage.cached for stage in stages] == [False, False, True]


def test_weights_that_no_stage_reads_are_looked_at(stages: list[Stage]) -> None:
    """A policy, an adapter: whoever takes it from the folder would be the first to notice."""
    last = stages[-1].folder
    flip(last / "model/model.safetensors")
    (line,) = run(stages)
    assert line.startswith(f"! {last.name}: model/model.safetensors") and "set aside" in line


def test_lost_weights_are_found_even_where_nobody_reads_them(stages: list[Stage]) -> None:
    (stages[0].folder / "model" / "model.safetensors").unlink()
    assert not stages[0].cached
    (said,) = run(stages)
    assert "model/model.safetensors is gone: set aside" in said


def test_what_an_older_version_finished_is_made_again(stages: list[Stage]) -> None:
    write_json(stages[2].folder / "manifest.json", {"counts": {}})
    assert not stages[2].cached
    (said,) = run(stages)
    assert "manifest.json has no checksum: an older version wrote it: set aside" in said


def test_an_unfinished_stage_keeps_what_it_has(stages: list[Stage]) -> None:
    (stages[2].folder / "manifest.json").unlink()
    flip(stages[2].folder / "model" / "config.json")
    assert run(stages) == [] and stages[2].folder.is_dir()


def test_a_folder_that_another_run_holds_is_left_alone(stages: list[Stage]) -> None:
    flip(stages[1].folder / "weak_labels.parquet")
    with lock(stages[1].folder), pytest.raises(InUseError):
        run(stages)
    assert stages[1].folder.is_dir()


def test_a_report_refuses_what_is_not_as_it_was_made(stages: list[Stage]) -> None:
    planned = tuple(PlannedStage(stage.kind, None, None, 0, stage.folder) for stage in stages)
    record = Run("demo", "reward_modeling", "t", "reward", None, "s", "model", (0,), ("naive",), planned)
    check_intact(record)
    flip(stages[0].folder / "model" / "model.safetensors")
    check_intact(record)
    flip(stages[1].folder / "weak_labels.parquet")
    (stages[2].folder / "model" / "config.json").unlink()
    with pytest.raises(
        ArtifactError, match=r"run 'demo': results are not what was made; run the recipe again, which se"
    ) as raised:
        check_intact(record)
    assert str(raised.value).splitlines()[1:] == [
        f"  - {stages[1].folder}: weak_labels.parquet is not what was written (its checksum is another)",
        f"  - {stages[2].folder}: model/config.json is gone",
    ]


def test_a_report_needs_no_weights(stages: list[Stage], tmp_path: Path) -> None:
    """A run may be copied without them; what reports read must be as it was all the same."""
    planned = tuple(PlannedStage(stage.kind, None, None, None, stage.folder) for stage in stages)
    run = Run("demo", "reward_modeling", "t", "reward", None, "s", "model", (0,), ("naive",), planned)
    (stages[0].folder / "model" / "model.safetensors").unlink()
    check_intact(run, weights=False)
    with pytest.raises(ArtifactError, match=r"model/model\.safetensors"):
        check_intact(run)
    (stages[0].folder / "model" / "config.json").unlink()
    with pytest.raises(ArtifactError, match=r"model/config\.json"):
        check_intact(run, weights=False)
