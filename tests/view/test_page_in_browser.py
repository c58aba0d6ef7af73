"""The view's page in a real Chromium: it fills while runs go on, keeps what is unfolded, and text stays text."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import PROGRAM, WHY_NOT, Browser, chromium
from planning_helpers import make_recipe

from w2s_rm.experiment.plan import Plan, make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.experiment.run import record
from w2s_rm.files import read_signed, write_json, write_signed, write_text
from w2s_rm.runs.folder import METRICS, StageFolder
from w2s_rm.runs.progress import Progress, forget_progress, write_progress
from w2s_rm.view.server import ViewServer

__all__ = ["make_recipe"]
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=WHY_NOT)

EVIL = "</script><script>window.pwned=1</script><!--\"'><img src=x onerror=window.pwned=1>"
ROW = {
    "method": "naive",
    "weak_accuracy": 0.75,
    "weak_low": 0.7,
    "weak_high": 0.8,
    "pgr": 0.6,
    "pgr_low": 0.5,
    "pgr_high": 0.7,
}


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with chromium() as browser:
        browser.hasten(10)
        yield browser


@pytest.fixture(scope="module")
def plan(make_recipe: Callable[[Path], Path], tmp_path_factory: pytest.TempPathFactory) -> Plan:
    folder = tmp_path_factory.mktemp("planned")
    plan = make_plan(load_recipe(make_recipe(folder), ["seeds=[0, 1]"]), folder / "runs")
    record(plan)
    return plan


@pytest.fixture
def runs(plan: Plan, tmp_path: Path) -> Path:
    shutil.copytree(plan.run_folder, tmp_path / "runs" / "small")
    return tmp_path / "runs"


@pytest.fixture
def browser(runs: Path, window: Browser, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """A browser on the page, in which nothing went wrong at the end, and which asked nobody else."""
    monkeypatch.setenv("W2S_RM_CACHE", str(runs.parent / "cache"))
    with ViewServer(runs, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            window.problems.clear()
            window.resize(1200)
            window.open(server.url)
            window.wait("document.querySelector('.run') !== null")
            yield window
            # Before there is nobody left to ask.
            window.call("Page.navigate", url="about:blank")
        finally:
            server.shutdown()
            thread.join()
        assert [problem for problem in window.problems if not problem.startswith(f"asked for {server.url}")] == []


def folder_of(runs: Path, plan: Plan, title: str) -> Path:
    return runs / "stages" / next(stage.folder.name for stage in plan.stages if stage.title == title)


def done(folder: Path) -> None:
    write_text(folder / "config.yaml", "x")
    StageFolder(folder).seal({})
    write_progress(folder, Progress(seconds=12.0))


def unfold(browser: Browser) -> None:
    browser.click("#run-small summary")
    browser.wait("document.querySelector('#run-small .graph svg') !== null")


def text(browser: Browser, selector: str) -> str:
    found: str = browser.run(f"document.querySelector({json.dumps(selector)}).textContent")
    return found


def test_a_run_fills_while_it_goes_on_and_what_is_unfolded_stays(browser: Browser, runs: Path, plan: Plan) -> None:
    names = {stage.folder.name for stage in plan.stages}
    assert text(browser, "#run-small .status") == f"0 of {len(names)} stages done"
    unfold(browser)
    squares = "document.querySelectorAll('#run-small .graph rect:not(.box)').length"
    assert browser.run(squares) == len(names) == browser.run("document.querySelectorAll('.graph .waiting').length")
    # Seeds stand in one box.
    labels = browser.run("[...document.querySelectorAll('.graph text:not(.sign)')].map((t) => t.textContent)")
    assert len(labels) == len(set(labels)) < len(names) and "student naive" in labels
    browser.click("#run-small .lines summary")
    browser.run("document.querySelector('.lines table').marked = true; document.querySelector('h1').marked = true")

    weak = folder_of(runs, plan, "weak seed 0")
    done(folder_of(runs, plan, "prepare"))
    write_text(weak / ".lock", f"process {os.getpid()} on {os.uname().nodename}")
    write_progress(weak, Progress(50, 200, speed=5.0, accuracy=0.812))
    write_text(weak / METRICS, "".join(f'{{"step": {n}, "loss": {1 / n}, "accuracy": 0.5}}\n' for n in range(1, 9)))
    browser.wait("document.querySelector('.now progress')?.value === 0.25")
    assert "50 of 200 steps, 5/s" in text(browser, ".now li") and "accuracy 81.2 %" in text(browser, ".now li")
    assert browser.run("document.querySelectorAll('.graph .running').length") == 1
    assert text(browser, "#run-small .graph .done title") == "prepare: done"
    assert browser.run("document.querySelectorAll('.chart polyline').length") == 1
    # Another measure, which stays chosen.
    browser.run(
        "(s => { s.value = 'loss'; s.dispatchEvent(new Event('change')); })(document.querySelector('.curves select'))"
    )
    assert browser.run("document.querySelector('.chart svg').getAttribute('aria-label')") == "loss over steps"

    write_progress(weak, Progress(60, 200, problem="NaN in step 60: lower the learning rate"))
    browser.wait("document.querySelector('.log pre') !== null")
    assert text(browser, ".log pre") == "NaN in step 60: lower the learning rate"
    assert text(browser, ".log summary") == "weak seed 0" and "1 failed" in text(browser, "#run-small .status")
    assert browser.run(
        "document.querySelector('.now') === null || document.querySelector('.now').closest('section').hidden"
    )
    browser.click(".log summary")

    forget_progress(weak)
    done(weak)
    browser.wait("document.querySelectorAll('.graph .done').length === 2")
    assert browser.run("document.querySelector('.log') === null")
    assert browser.run("document.querySelector('h1').marked") is True, "never loaded again"
    assert browser.run("document.querySelector('#run-small').open && document.querySelector('.lines').open")
    assert browser.run("document.querySelector('.curves select').value") == "loss"
    write_text(runs / "small" / "report.html", "<title>the report</title>")
    browser.wait("document.querySelector('.report a') !== null")
    browser.click(".report a")
    browser.wait("document.title === 'the report'")
    # A browser asks for an icon when it likes: now, so that the test sees every time what it is told.
    assert browser.run("fetch('/favicon.ico', {mode: 'no-cors'}).then(() => 'there', () => 'refused')") == "there"


def test_another_run_comes_and_two_are_compared(browser: Browser, runs: Path) -> None:
    assert browser.run("document.querySelector('#compare').hidden")
    shutil.copytree(runs / "small", runs / "other")
    for name, pgr in (("small", 0.6), ("other", 0.25)):
        write_json(runs / name / "report.json", [{**ROW, "pgr": pgr}])
        write_text(runs / name / "report.html", "x")
    browser.wait("document.querySelectorAll('#sides tbody tr').length === 2")
    cells = browser.run(
        "[...document.querySelectorAll('#sides tr')].map((r) => [...r.cells].map((c) => c.textContent))"
    )
    chosen = cells[0][2:]
    assert sorted(chosen) == ["other", "small"]
    expected = {"small": "0.60 [0.50, 0.70]", "other": "0.25 [0.50, 0.70]"}
    assert cells[2] == ["naive", "PGR", *(expected[name] for name in chosen)]
    browser.run(
        "(s => { s.value = 'small'; s.dispatchEvent(new Event('change')); })(document.querySelector('#first'));"
        "(s => { s.value = 'small'; s.dispatchEvent(new Event('change')); })(document.querySelector('#second'))"
    )
    browser.wait("document.querySelector('#sides tbody').rows[1].cells[3].textContent === '0.60 [0.50, 0.70]'")
    assert text(browser, "#sides th:nth-child(4)") == "small"
    shutil.rmtree(runs / "other")
    browser.wait("document.querySelectorAll('.run').length === 1 && document.querySelector('#compare').hidden")


def test_no_text_becomes_markup(browser: Browser, runs: Path, plan: Plan) -> None:
    """Script tags in every text of a plan, a report, a log, and in the name of a folder."""
    planned = read_signed(runs / "small" / "plan.json")
    for stage in planned["stages"]:
        stage |= {name: EVIL for name in ("title", "method", "policy", "further") if name == "title" or stage[name]}
    write_signed(
        runs / "small" / "plan.json",
        {**planned, "task": EVIL, "strong_model": EVIL, "weak_model": EVIL, "setting": EVIL, "methods": [EVIL]},
    )
    weak, other = (folder_of(runs, plan, f"weak seed {seed}") for seed in (0, 1))
    write_progress(weak, Progress(50, 200, EVIL, problem=EVIL))
    write_text(weak / "log.txt", EVIL)
    write_text(other / ".lock", f"process {os.getpid()} on {os.uname().nodename}")
    write_progress(other, Progress(50, 200, EVIL))
    write_text(other / METRICS, '{"step": 1, "loss": 0.5}\n')
    write_json(runs / "small" / "report.json", [{**ROW, "method": EVIL}])
    write_text(runs / "small" / "report.html", EVIL)
    # A name may have anything but a slash.
    shutil.copytree(runs / "small", runs / EVIL.replace("/", "\\")[:200])
    evil = runs / EVIL.replace("/", "")
    (runs / EVIL.replace("/", "\\")[:200]).rename(evil)
    browser.wait("document.querySelectorAll('.run').length === 2")
    browser.run("for (const run of document.querySelectorAll('.run')) run.open = true")
    browser.wait(
        "document.querySelectorAll('.graph svg').length === 2 && document.querySelectorAll('.log').length === 2"
    )
    browser.wait("document.querySelectorAll('#sides tbody tr').length === 2")
    assert browser.run("window.pwned") is None
    assert browser.run("document.querySelectorAll('img').length + document.querySelectorAll('script').length") == 1
    assert EVIL in text(browser, ".log pre") and EVIL.replace("/", "") in text(browser, "#runs")


def test_an_answer_that_fails_is_said_and_asked_for_again(browser: Browser, runs: Path) -> None:
    (runs / "small").rename(runs.parent / "away")
    runs.rmdir()
    browser.wait("document.querySelector('#told').textContent.startsWith('No answer')")
    browser.problems[:] = [problem for problem in browser.problems if "500" not in problem]
    runs.mkdir()
    browser.wait("document.querySelector('#told').textContent === 'There are no runs here yet.'")
    browser.problems[:] = [problem for problem in browser.problems if "500" not in problem]


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_and_the_dark(browser: Browser, runs: Path, plan: Plan, width: int, dark: bool) -> None:
    browser.dark(dark)
    browser.resize(width)
    done(folder_of(runs, plan, "prepare"))
    unfold(browser)
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    paper = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") is not dark
    browser.dark(False)


def test_it_works_by_keyboard(browser: Browser) -> None:
    browser.run("document.querySelector('#run-small summary').focus()")
    browser.press("Enter")
    browser.wait("document.querySelector('#run-small .graph svg') !== null")
    named = "(e) => e.ariaLabel || e.labels?.length"
    shown = "[...document.querySelectorAll('[role=region], [role=img], progress, select')]"
    assert browser.run(f"{shown}.every({named})")
