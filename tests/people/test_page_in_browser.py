"""A labeller in a real Chromium before a real server: keys, undo, reload, and servers that are killed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import PROGRAM, WHY_NOT, Browser, chromium

from w2s_rm.data.label_files import read_labels
from w2s_rm.files import cut_unfinished_line

from .conftest import Label, lines

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=WHY_NOT)

Start = Callable[..., Label]
TASK = ("preference", "path=pairs.jsonl", "n_train=60", "n_test=10", "--output", "labels.jsonl")


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with chromium() as browser:
        browser.hasten(10)
        yield browser


@pytest.fixture
def browser(window: Browser, label: Start) -> Iterator[Browser]:
    """A browser in which nothing went wrong at the end, and which asked nobody but a live server."""
    window.problems.clear()
    window.resize(1000)
    yield window
    window.call("Page.navigate", url="about:blank")
    assert [problem for problem in window.problems if not problem.startswith("asked for http://127.0.0.1:")] == []


def question(browser: Browser) -> str | None:
    return browser.run("document.getElementById('place').dataset.question ?? null")


def place_of_good(browser: Browser) -> int:
    """Where the better response stands: its text alone says so."""
    texts = browser.run("[...document.querySelectorAll('.candidate .text')].map(e => e.innerText)")
    return next(place for place, text in enumerate(texts) if "good" in text)


def press(browser: Browser, key: str) -> None:
    """Press a key, and wait until another question is there, or none."""
    before = question(browser)
    browser.press(key)
    browser.wait(f"(document.getElementById('place').dataset.question ?? null) !== {before!r}".replace("None", "null"))


def open_page(browser: Browser, server: Label) -> None:
    browser.open(server.address)
    browser.wait("document.getElementById('place').childElementCount > 0")


def saved(browser: Browser) -> None:
    browser.wait("document.getElementById('count').textContent.includes('saved')")


def test_a_labeller_works_with_keys_alone(browser: Browser, label: Start, pairs_file: Path, tmp_path: Path) -> None:
    server = label(*TASK, "--labeller", "anna", "--question", "Which is good?")
    assert "labels.jsonl: 0 of 30 examples are answered by anna" in server.said
    open_page(browser, server)
    assert browser.run("document.querySelector('.asked').innerText") == "Which is good?"
    assert browser.run("document.querySelector('h1').innerText") == "preference, relabel · anna"
    places = []
    for _ in range(28):
        places.append(place_of_good(browser))
        press(browser, str(places[-1] + 1))
    # Blinded: the better response stands now here, now there.
    assert 5 < sum(places) < 23
    first_put_off = question(browser)
    press(browser, "s")
    press(browser, "t")
    assert question(browser) == first_put_off, "what was put off comes in the end"
    wrong = 2 - place_of_good(browser)
    press(browser, str(wrong))
    assert browser.run("document.querySelector('.asked').innerText") == "All questions are answered."
    press(browser, "u")
    assert question(browser) == first_put_off
    press(browser, str(place_of_good(browser) + 1))
    saved(browser)
    browser.wait("document.querySelector('pre').textContent.includes('anna')")
    written = lines(tmp_path / "labels.jsonl")
    # 28 answers, a tie, a wrong one that is taken back, and the right one.
    assert len(written) == 32 and Counter(str(line["probabilities"]) for line in written)["None"] == 1
    assert all(line["labeller"] == "anna" and 0 <= line["seconds"] < 600 and line["at"] for line in written)
    labels = read_labels(tmp_path / "labels.jsonl")
    assert len(labels) == 30 and sum(x.probabilities == (0.5, 0.5) for x in labels) == 1
    assert "30     1" in server.interrupt()


def test_a_reload_in_the_middle_goes_on(browser: Browser, label: Start, pairs_file: Path, tmp_path: Path) -> None:
    server = label(*TASK)
    open_page(browser, server)
    for _ in range(5):
        press(browser, "1")
    there = question(browser)
    open_page(browser, server)
    assert question(browser) == there
    assert browser.run("document.querySelector('progress').value") == 5
    # What the page before has answered can be taken back.
    press(browser, "u")
    press(browser, "2")
    saved(browser)
    assert question(browser) == there and len(read_labels(tmp_path / "labels.jsonl")) == 5


def test_a_key_that_is_held_down_answers_once(browser: Browser, label: Start, pairs_file: Path, tmp_path: Path) -> None:
    open_page(browser, label(*TASK))
    before = question(browser)
    key = {"text": "1", "key": "1", "code": "Digit1", "windowsVirtualKeyCode": 49}
    for repeat in (False, True, True, True):
        browser.call("Input.dispatchKeyEvent", type="keyDown", autoRepeat=repeat, **key)
        browser.wait(f"document.getElementById('place').dataset.question !== '{before}'")
    browser.call("Input.dispatchKeyEvent", type="keyUp", **key)
    saved(browser)
    assert len(lines(tmp_path / "labels.jsonl")) == 1


def test_a_mouse_will_do_and_ties_can_be_forbidden(
    browser: Browser, label: Start, pairs_file: Path, tmp_path: Path
) -> None:
    open_page(browser, label(*TASK, "--no-ties"))
    before = question(browser)
    for key in ("t", "0", "9"):
        browser.press(key)
    assert question(browser) == before
    browser.click("li:nth-child(2) .candidate")
    browser.wait(f"document.getElementById('place').dataset.question !== '{before}'")
    saved(browser)
    assert [line["probabilities"] for line in lines(tmp_path / "labels.jsonl")] == [[0.0, 1.0]]


def test_of_many_candidates_a_number_is_typed(browser: Browser, label: Start, tmp_path: Path) -> None:
    server = label("mate_in_one", "pieces=[Q]", "n_train=4", "n_test=2", "--output", "labels.jsonl", "--split", "weak")
    open_page(browser, server)
    n = browser.run("document.querySelectorAll('.candidate').length")
    assert n > 9 and browser.run("document.querySelector('.board') !== null")
    browser.press("1")
    browser.press("0")
    assert browser.run("document.querySelector('.named').dataset.place") == "9"
    press(browser, "Enter")
    saved(browser)
    (line,) = lines(tmp_path / "labels.jsonl")
    assert line["probabilities"].index(1.0) == 9 and len(line["probabilities"]) == n


def test_steps_are_asked_as_steps(browser: Browser, label: Start, tmp_path: Path) -> None:
    task = ("world_chains", "n_entities=12", "n_steps=3", "n_problems=40", "n_train=96", "n_test=12")
    open_page(browser, label(*task, "--output", "labels.jsonl"))
    assert browser.run("document.querySelector('.asked').innerText") == "Is the last step right, and all before it?"
    texts = browser.run("[...document.querySelectorAll('.candidate .text')].map(e => e.innerText.trim())")
    assert texts == ["wrong", "right"]
    press(browser, "2")
    saved(browser)
    assert lines(tmp_path / "labels.jsonl")[0]["probabilities"] == [0.0, 1.0]


def test_a_file_that_is_damaged_while_it_is_served(browser: Browser, label: Start, tmp_path: Path) -> None:
    """Answers are written all the same, and the page says in the end why it has no summary."""
    rows = "".join(f'{{"id": "{n}", "prompt": "{n}", "chosen": "a", "rejected": "b"}}\n' for n in range(10))
    (tmp_path / "pairs.jsonl").write_text(rows, encoding="utf-8")
    server = label("preference", "path=pairs.jsonl", "n_train=2", "n_test=2", "--output", "labels.jsonl")
    (tmp_path / "labels.jsonl").write_text("nonsense\n", encoding="utf-8")
    open_page(browser, server)
    press(browser, "1")
    saved(browser)
    browser.wait("document.querySelector('pre').textContent.includes('labels.jsonl:1: broken JSON')")
    assert "no summary: labels.jsonl:1: broken JSON" in server.interrupt()
    assert len((tmp_path / "labels.jsonl").read_text(encoding="utf-8").splitlines()) == 2


def test_texts_are_shown_as_texts(browser: Browser, label: Start, tmp_path: Path) -> None:
    evil = "</script><script>window.pwned=1</script><img src=x onerror=window.pwned=1>"
    rows = "".join(
        f'{{"id": "{n}", "prompt": "{n} {evil}", "chosen": "a{evil}", "rejected": "b {evil}"}}\n' for n in range(20)
    )
    (tmp_path / "pairs.jsonl").write_text(rows, encoding="utf-8")
    open_page(browser, label("preference", "path=pairs.jsonl", "n_train=4", "n_test=2", "--output", "labels.jsonl"))
    assert evil in browser.run("document.body.innerText") and browser.run("window.pwned ?? null") is None


def test_ten_killed_servers_lose_nothing(window: Browser, label: Start, pairs_file: Path, tmp_path: Path) -> None:
    """Between posts and during them: what the page was told is saved is in the file, and nothing is there twice."""
    path, chance = tmp_path / "labels.jsonl", random.Random(0)
    server = label(*TASK)
    open_page(window, server)
    chosen: dict[str | None, int] = {}
    for number in range(10):
        for _ in range(3):
            chosen[question(window)] = place_of_good(window)
            press(window, str(place_of_good(window) + 1))
        if number == 4:
            chosen.popitem()
            press(window, "u")
            chosen[question(window)] = place_of_good(window)
            press(window, str(place_of_good(window) + 1))
        # Half of them in the midst of the posts, half when these are done.
        if number % 2:
            saved(window)
        time.sleep(chance.random() / 50)
        server.kill()
        cut_unfinished_line(path)
        kept = set(window.run("waiting().map(one => one.key)"))
        keys = [line["key"] for line in lines(path)] if path.exists() else []
        acknowledged = 3 * (number + 1) + (2 if number >= 4 else 0) - len(kept)
        assert len(set(keys) - kept) == acknowledged and len(keys) == len(set(keys))
        # Labelling goes on without a server, as far as questions are there; a tab that is closed keeps its answers.
        server = label(*TASK)
        assert server.address == window.run("location.href")
        if number in (3, 6):
            open_page(window, server)
    saved(window)
    written = lines(path)
    assert len(written) == len({line["key"] for line in written}) == 32
    assert len(chosen) == 30
    labels = read_labels(path)
    assert len(labels) == 30 and all(max(label.probabilities) == 1.0 for label in labels)
    assert "All questions are answered." in window.run("document.querySelector('.asked').innerText")


def test_answers_wait_for_a_server(window: Browser, label: Start, pairs_file: Path, tmp_path: Path) -> None:
    server = label(*TASK)
    open_page(window, server)
    # What is asked ahead is on its way; it must be there before the server is not.
    window.wait("questions.size > 10")
    window.run("Promise.all(questions.values()).then(() => null)")
    server.kill()
    for _ in range(3):
        press(window, "1")
    window.wait("document.getElementById('problem').textContent.includes('3 answers wait')")
    assert not (tmp_path / "labels.jsonl").exists()
    # A closed tab: the next one sends what it finds.
    window.call("Page.navigate", url="about:blank")
    server = label(*TASK)
    open_page(window, server)
    saved(window)
    assert len(read_labels(tmp_path / "labels.jsonl")) == 3
    assert window.run("document.getElementById('problem').hidden")
