"""What a terminal shows while stages run, drawn on a console that is recorded."""

from __future__ import annotations

import io
import os
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.jobs import Job, unite
from w2s_rm.experiment.live import Watched, cells, drawn, table, watching
from w2s_rm.experiment.only import chosen
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import print_line
from w2s_rm.files import write_text
from w2s_rm.runs.folder import StageFolder
from w2s_rm.runs.processes import WATCHED_VARIABLE
from w2s_rm.runs.progress import Progress, write_progress


@pytest.fixture
def jobs(recipe_file: Path) -> list[Job]:
    return unite([make_plan(load_recipe(recipe_file, ["seeds=[0]"]), recipe_file.parent / "runs")])


def finish(folder: Path, seconds: float) -> None:
    write_text(folder / "config.yaml", "x")
    StageFolder(folder).seal({})
    write_progress(folder, Progress(seconds=seconds))


def runs(folder: Path, progress: Progress) -> None:
    write_text(folder / ".lock", f"process {os.getpid()} on {os.uname().nodename}")
    write_progress(folder, progress)


def shown(watched: Watched, now: float, width: int = 120) -> str:
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    console.print(table(watched, now))
    return console.export_text()


def folder_of(jobs: list[Job], title: str) -> Path:
    return next(job.stage.folder for job in jobs if job.title == title)


def test_a_line_for_each_stage_that_runs_and_one_for_all(jobs: list[Job]) -> None:
    finish(folder_of(jobs, "prepare"), 3.0)
    watched = Watched(jobs)
    finish(folder_of(jobs, "weak seed 0"), 30.0)
    runs(folder_of(jobs, "student logconf seed 0"), Progress(120, 400, speed=5.0, accuracy=0.812, loss=0.4))
    now = time.time()
    summary, line = shown(watched, now).splitlines()
    assert summary.startswith(f"{len(jobs)} stages: 1 cached, 1 done, 1 running, {len(jobs) - 3} to come; about ")
    # 280 steps at 5 a second; no other stage has ended that is like the ones to come.
    assert summary.rstrip().endswith(f"about 56 s left, and {len(jobs) - 3} stages of unknown length")
    words = " ".join(line.replace("━", "").replace("╸", "").replace("╺", "").split())
    assert words == "student logconf seed 0 120 of 400 steps 5/s 56 s left accuracy 81.2 %"
    finish(folder_of(jobs, "student logconf seed 0"), 80.0)
    (summary,) = shown(watched, now).splitlines()
    # The other student takes as long.
    assert "1 cached, 2 done, 0 running" in summary and "about 1 min left" in summary
    StageFolder(folder_of(jobs, "prepare")).set_aside()
    (summary,) = shown(watched, now).splitlines()
    assert "0 cached, 2 done, 0 running" in summary


def test_a_name_is_no_markup(jobs: list[Job]) -> None:
    import dataclasses

    evil = [dataclasses.replace(job, title="[red]x[/red] [/]") for job in jobs[:1]]
    runs(evil[0].stage.folder, Progress(1, 2))
    assert "[red]x[/red] [/]" in shown(Watched(evil), time.time())


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (Progress(), ("runs", "", "", "")),
        (Progress(1, 7, "batches"), ("1 of 7 batches", "", "", "")),
        (Progress(1, 7, speed=0.0123, loss=2.5), ("1 of 7 steps", "0.0123/s", "8 min left", "loss 2.500")),
        (Progress(1, 7, speed=1234.0, accuracy=1.0), ("1 of 7 steps", "1,234/s", "0 s left", "accuracy 100.0 %")),
    ],
)
def test_cells(progress: Progress, expected: tuple[str, ...]) -> None:
    assert cells(progress, 0.0) == expected


def test_what_is_said_stands_above_and_libraries_draw_nothing(jobs: list[Job]) -> None:
    console = Console(record=True, width=100, file=io.StringIO(), force_terminal=True)
    runs(folder_of(jobs, "prepare"), Progress(1, 2))
    before = dict(os.environ)
    with pytest.raises(ConfigError), drawn(jobs, console) as say:
        assert os.environ[WATCHED_VARIABLE] == os.environ["TQDM_DISABLE"] == "1"
        say("[1/9] prepare …")
        print("a warning of a library", file=sys.stderr)
        # It draws on its own, too.
        runs(folder_of(jobs, "prepare"), Progress(2, 2))
        end = time.monotonic() + 60
        while "2 of 2 steps" not in console.export_text(clear=False):
            assert time.monotonic() < end
            time.sleep(0.01)
        raise ConfigError("stop")
    assert dict(os.environ) == before
    text = console.export_text()
    assert "[1/9] prepare …\n" in text and "a warning of a library\n" in text
    assert "1 of 2 steps" in text and "0 cached, 0 done, 1 running" in text


def test_elsewhere_lines_are_plain(jobs: list[Job], capsys: pytest.CaptureFixture[str]) -> None:
    with watching(jobs) as say:
        assert say is print_line and WATCHED_VARIABLE not in os.environ
        say("[1/9] prepare …")
    assert capsys.readouterr().err == "[1/9] prepare …\n"


def test_chosen_by_number_title_and_folder_with_what_they_need(jobs: list[Job]) -> None:
    by_title = {job.title: job.stage.folder for job in jobs}
    student = next(job for job in jobs if job.title == "student naive seed 0")
    expected = {by_title[name] for name in ("prepare", "weak seed 0", "relabel seed 0", "student naive seed 0")}
    number = str(jobs.index(student) + 1)
    for name in (number, student.title, "student naive", student.stage.folder.name):
        assert chosen(jobs, name) == expected, name
    assert chosen(jobs, "prepare") == {by_title["prepare"]}
    assert chosen(jobs, "evaluate student naive seed 0") == expected | {by_title["evaluate student naive seed 0"]}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("student niave", "did you mean 'student naive'"),
        ("999", "they are numbered from 1 to"),
        ("0", "they are numbered from 1 to"),
        ("xxxxxxxxx", "`w2s-rm plan` shows them all"),
    ],
)
def test_a_stage_that_is_not_there_has_its_nearest_names(jobs: list[Job], name: str, hint: str) -> None:
    from w2s_rm.errors import UnknownNameError

    with pytest.raises(UnknownNameError) as raised:
        chosen(jobs, name)
    assert hint in str(raised.value)
