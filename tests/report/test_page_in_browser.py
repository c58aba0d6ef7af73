"""The report's page in a real Chromium: what it shows and does, and what data can never make it do."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from browser import PROGRAM, WHY_NOT, Browser, chromium
from sealing import reseal

from w2s_rm.report import write_report
from w2s_rm.types import Example

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=WHY_NOT)

MakeRun = Callable[..., Path]
EVIL = "</script><script>window.pwned=1</script><!--\"'><img src=x onerror=window.pwned=1>"
EXAMPLES = "section-examples-what-does-the-student-get-right-that-its-supervisor-gets-wrong"
SUMMARY = f"#{EXAMPLES} > summary"
PAIR = (
    "The capital of Australia is Canberra , not Sydney .",
    "The capital of Australia is Sydney , not Canberra or Perth .",
)


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def browser(window: Browser) -> Iterator[Browser]:
    """A browser in which nothing went wrong at the end."""
    window.problems.clear()
    window.resize(1200)
    window.dark(False)
    yield window
    assert window.problems == []


def example(number: int) -> Example:
    return Example(f"e{number:04d}", f"group {number // 10}", f"question {number:02d}" + "?" * number, PAIR, 1)


def right_on(*numbers: int) -> list[float]:
    """Answers that are right on these examples; the surer, the higher the number."""
    return [1.0 + number / 10 if number in numbers else 0.0 for number in range(40)]


@pytest.fixture(scope="module")
def address(write_run: MakeRun, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page over a run of 40 questions, and one of two chess positions and a game."""
    root = tmp_path_factory.mktemp("runs")
    first = write_run(
        root=root,
        weak=[right_on(*range(20))] * 2,
        students={"naive": [right_on(*range(25))] * 2, "better": [right_on(*range(5, 35))] * 2},
        ceiling=[right_on(*range(38))] * 2,
        examples=[example(number) for number in range(40)],
    )
    moves = ("Kb1", "Qh8", "Kb2", "Qa1", "Qb1", "Qc1", "Qd1", "Qe1")
    prompts = ("w - - : Ka1 Qh1 kd8", "3k4/8/8/8/8/8/8/K6Q w - - 0 1", "1. e4 e5")
    positions = [Example(f"e{i:04d}", "g", prompt, moves, 1) for i, prompt in enumerate(prompts)]
    models = {"weak": [[-4.0] * 3], "students": {"naive": [[5.0] * 3]}, "ceiling": [[5.0] * 3]}
    chess = write_run("mates", root=root, **models, examples=positions, k=8)
    write_report([first, chess], root)
    return (root / "report.html").as_uri()


def texts(browser: Browser, selector: str) -> list[str]:
    return list(browser.run(f"[...document.querySelectorAll({json.dumps(selector)})].map(e => e.innerText.trim())"))


def choose(browser: Browser, label: str, value: str) -> None:
    """Set the field with a label, as typing or choosing does."""
    browser.run(
        f"""(() => {{
            const label = [...document.querySelectorAll('.controls label, .filter label')]
                .find(e => e.checkVisibility() && e.textContent.startsWith({json.dumps(label)}));
            const field = label.querySelector('input, select');
            field.value = {json.dumps(value)};
            for (const event of ['input', 'change']) field.dispatchEvent(new Event(event));
        }})()"""
    )


def status(browser: Browser, text: str) -> None:
    browser.wait(f"document.querySelector('#examples [role=status]')?.textContent === {json.dumps(text)}")


def open_examples(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.click(SUMMARY)
    browser.wait("document.querySelector('.example') !== null")


def test_one_click_answers_the_question(browser: Browser, address: str) -> None:
    browser.open(address)
    assert browser.run("document.querySelector('h1').innerText") == "Weak-to-strong report"
    assert not texts(browser, ".example")
    browser.click(SUMMARY)
    status(browser, "5 of 5 examples")
    # The supervisor is right on 0 to 19, the student on 0 to 24: the surest first.
    assert texts(browser, ".example h3") == [f"Example e{number:04d}" for number in (24, 23, 22, 21, 20)]
    assert texts(browser, ".example header > span")[0].startswith("student right, supervisor wrong, difference ")
    counts = [text.splitlines()[-1] for text in texts(browser, "fieldset label .badge")]
    # naive is wrong from 25 on, the ceiling from 38 on; the second student is wrong there too.
    assert counts == ["5", "0", "2", "5", "40"]


def test_an_example_shows_probabilities_truth_and_differing_words(browser: Browser, address: str) -> None:
    open_examples(browser, address)
    assert texts(browser, ".example:first-child .badge")[:2] == ["Candidate 1", "Candidate 2, right"]
    assert texts(browser, ".example:first-child mark") == ["Canberra", "Sydney", "Sydney", "Canberra", "or", "Perth"]
    # The scores of 24, (1 - 3.4, 3.4) for the student and (1, 0) for the supervisor.
    student, supervisor = 1 / (1 + math.exp(-2.4 - 3.4)), 1 / (1 + math.exp(1.0))
    shares = texts(browser, ".example:first-child .candidate:nth-child(2) .shares > div")
    assert shares[0].split("\n") == ["supervisor (weak label)", f"{100 * supervisor:.1f} %"]
    assert shares[1].split("\n") == ["student, naive", f"{100 * student:.1f} % ✓", "chosen"]
    difference = f"difference {100 * (student - supervisor):.1f} %"
    assert difference in texts(browser, ".example:first-child header")[0]


def test_filters(browser: Browser, address: str) -> None:
    open_examples(browser, address)
    browser.click("input[value=wrong]")
    status(browser, "2 of 2 examples")
    assert sorted(texts(browser, ".example h3")) == ["Example e0038", "Example e0039"]
    browser.click("input[value=all]")
    status(browser, "10 of 40 examples")
    browser.click("#examples > button:last-child")
    status(browser, "20 of 40 examples")
    assert browser.run("document.activeElement === document.querySelectorAll('.example')[10]")
    choose(browser, "Student", "1")
    browser.click("input[value=lost]")
    status(browser, "5 of 5 examples")
    assert sorted(texts(browser, ".example h3"))[0] == "Example e0000"
    browser.click("input[value=all]")
    choose(browser, "Order", "long")
    browser.wait("document.querySelector('.example h3').textContent === 'Example e0039'")
    choose(browser, "Order", "short")
    browser.wait("document.querySelector('.example h3').textContent === 'Example e0000'")
    length = len("question 00") + sum(map(len, PAIR))
    choose(browser, "Length from", str(length + 3))
    choose(browser, "to", str(length + 5))
    status(browser, "3 of 3 examples")
    assert texts(browser, ".example h3") == [f"Example e{number:04d}" for number in (3, 4, 5)]
    choose(browser, "Length from", "")
    choose(browser, "to", "")
    choose(browser, "Group", "group 3")
    status(browser, "10 of 10 examples")
    choose(browser, "With the text", "QUESTION 31")
    status(browser, "1 of 1 examples")


def test_a_group_is_one_click_away(browser: Browser, address: str) -> None:
    open_examples(browser, address)
    browser.click(".example header button")
    status(browser, "10 of 10 examples")
    assert {text[:15] for text in texts(browser, ".example h3")} == {f"Example e00{n}" for n in (20, 21)} | {
        f"Example e00{number}" for number in range(22, 30)
    }


def test_a_link_leads_to_its_example(browser: Browser, address: str) -> None:
    browser.open(f"{address}#example-e0007")
    status(browser, "One example, from a link")
    assert texts(browser, ".example h3") == ["Example e0007"]
    browser.wait("document.activeElement.id === 'example-e0007'")
    browser.run("location.hash = '#example-e0008'")
    browser.wait("document.querySelector('.example h3').textContent === 'Example e0008'")
    browser.run("location.hash = '#example-e0001/2'")
    browser.wait("document.querySelector('.board') !== null")
    assert texts(browser, ".example h3 a[href='#example-e0001/2']") == ["Example e0001"]
    browser.click("#examples > button.plain")
    status(browser, "3 of 3 examples")
    for bad in ("#example-nobody", "#example-%E0%A", "#example-e0001/9"):
        browser.open(address + bad)
    browser.open(f"{address}#section-results")
    assert browser.run("document.getElementById('section-results').open")


def test_a_board_is_drawn_and_told(browser: Browser, address: str) -> None:
    open_examples(browser, address)
    choose(browser, "Run", "1")
    browser.wait("document.querySelector('.board') !== null")
    # The game that is told as moves is no position.
    assert len(texts(browser, ".example")) == 3 and len(texts(browser, ".board")) == 2
    labels = browser.run("[...document.querySelectorAll('.board')].map(e => e.getAttribute('aria-label'))")
    told = "Chess position, White to move. White: king a1, queen h1. Black: king d8."
    assert labels[0] == told and labels[1].replace("queen h1, king a1", "king a1, queen h1") == told
    for board in ("0", "1"):
        squares = browser.run(f"[...document.querySelectorAll('.board')[{board}].children].map(e => e.textContent)")
        assert {place: sign[0] for place, sign in enumerate(squares) if sign} == {3: "♚", 56: "♚", 63: "♛"}
        named = browser.run(
            f"[...document.querySelectorAll('.board')[{board}].children].findIndex(e => e.classList.contains('named'))"
        )
        assert named == 7  # h8, where the right move leads
    sizes = browser.run("[...document.querySelectorAll('.board span')].map(e => e.getBoundingClientRect().height)")
    assert max(sizes) - min(sizes) < 1
    # Of many candidates those are seen that are right, or not quite unlikely to somebody.
    assert texts(browser, ".example:first-child .candidate .text") == ["Kb1", "Qh8"]
    browser.click(".example:first-child details > summary")
    browser.wait("document.querySelectorAll('.example:first-child .candidate').length === 8")


def test_tables_sort_by_mouse_and_keyboard(browser: Browser, address: str) -> None:
    browser.open(f"{address}#section-results")
    headers = texts(browser, "#section-results th")
    method, student = headers.index("Method") + 1, headers.index("Student %") + 1

    def column(number: int) -> list[str]:
        return [text.split()[0] for text in texts(browser, f"#section-results tbody td:nth-child({number})")]

    def sorting() -> list[str]:
        headers = "[...document.querySelectorAll('#section-results th')]"
        return list(browser.run(f"{headers}.map(e => e.getAttribute('aria-sort'))"))

    assert column(method) == ["naive", "better", "naive"] and set(sorting()) == {"none"}
    browser.click(f"#section-results th:nth-child({student}) button")
    # Right on 25 and on 30 of 40, and on 3 of 3.
    assert column(student) == ["62.5", "75.0", "100.0"] and sorting()[student - 1] == "ascending"
    browser.press("Enter")
    assert column(student) == ["100.0", "75.0", "62.5"] and sorting()[student - 1] == "descending"
    browser.press("Tab")
    browser.press("Space")
    assert sorting()[student - 1 : student + 1] == ["none", "ascending"]
    browser.click(f"#section-results th:nth-child({method}) button")
    assert column(method) == ["better", "naive", "naive"]


def test_what_is_missing_is_sorted_last(browser: Browser, address: str) -> None:
    browser.open(address)
    cells = ["12.3 [1, 2]", "–", "−0.50 [−∞, 1]", "1,234", "(0.40)", "undefined [−∞, ∞]"]
    for sign, expected in ((1, [2, 4, 0, 3, 1, 5]), (-1, [3, 0, 4, 2, 1, 5])):
        order = browser.run(f"{json.dumps(cells)}.sort((a, b) => compareCells(a, b, true, {sign}))")
        assert order == [cells[place] for place in expected]


def test_tables_filter(browser: Browser, address: str) -> None:
    browser.open(f"{address}#section-each-seed")
    # Few lines are seen at once.
    assert len(texts(browser, "#section-each-seed tbody tr")) == 5 and not texts(browser, "#section-each-seed .filter")
    browser.open(f"{address}#section-how-it-was-run")
    # The first run: a preparation, and for each of two seeds labels, two students, a supervisor and a ceiling.
    shown = "[...document.querySelector('#section-how-it-was-run tbody').rows].filter(line => !line.hidden).length"
    assert browser.run(shown) == 11
    choose(browser, "Lines with", "Student")
    browser.wait(f"{shown} === 4")
    assert texts(browser, "#section-how-it-was-run .filter")[0].endswith("4 of 11 lines")


def test_words_that_candidates_share(browser: Browser, address: str) -> None:
    browser.open(address)

    def marked(*texts: str) -> list[list[str]]:
        words = [text.split() for text in texts]
        places = browser.run(f"differingWords({json.dumps(words)}).map(places => [...places].sort((a, b) => a - b))")
        return [[own[place] for place in found] for own, found in zip(words, places, strict=True)]

    assert marked("a b c d", "a x c d") == [["b"], ["x"]]
    assert marked("a b c", "a b c d e") == [[], ["d", "e"]]
    assert marked("a b c d", "b c d a") == [["a"], ["a"]]
    assert marked("a b c d", "a b x d", "a b c d") == [["c"], ["x"], ["c"]]
    assert marked("all of it", "quite another thing") == [[], []]


@pytest.mark.parametrize("width", [320, 1200])
def test_the_layout_fits(browser: Browser, address: str, width: int) -> None:
    browser.resize(width)
    open_examples(browser, address)
    browser.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width
    boxes = browser.run(
        "[...document.querySelectorAll('.example:first-child .candidate')].map(e => [e.offsetLeft, e.offsetTop])"
    )
    (left, top), (other_left, other_top) = boxes
    side_by_side, stacked = left < other_left and top == other_top, left == other_left and top < other_top
    assert side_by_side == (width == 1200) and stacked == (width == 320)


def test_dark_mode(browser: Browser, address: str) -> None:
    browser.dark()
    browser.open(address)

    def lightness(element: str, kind: str) -> float:
        color = browser.run(f"getComputedStyle(document.querySelector('{element}')).{kind}")
        return sum(map(int, re.findall(r"\d+", color)[:3])) / (3 * 255)

    assert lightness("body", "backgroundColor") < 0.15 and lightness("h1", "color") > 0.8


def test_data_cannot_become_markup_or_script(browser: Browser, make_run: MakeRun, tmp_path: Path) -> None:
    """A script in every field of the data: shown as text, and not run."""
    conversation = ({"role": EVIL, "content": EVIL, "tool_calls": [{"name": EVIL}]},)
    examples = [
        Example(f"e{i:04d}", EVIL, prompt, (EVIL, f"{EVIL} ."), 1) for i, prompt in enumerate([EVIL, conversation])
    ]
    names = ("recipe", "setting", "task", "weak_model", "strong_model", "supervisor")
    method = EVIL.replace("/", "")
    run = make_run(
        "evil",
        weak=[[0.0, 0.0]],
        students={method: [[1.0, 1.0]]},
        further={"other": {"weak": [[0.0, 0.0]], "ceiling": [[1.0, 1.0]], method: [[1.0, 1.0]]}},
        ceiling=[[1.0, 1.0]],
        prepared={EVIL: 3},
        examples=examples,
        **dict.fromkeys(names, EVIL),
        methods=[EVIL],
    )
    plan = json.loads((run / "plan.json").read_text())
    for stage in plan["stages"]:
        stage["method"] = stage["method"] and EVIL
        if "further" in stage:
            stage["further"] = EVIL
    plan["tested"] = [plan["tested"][0], {"label": EVIL, "name": EVIL, "source": EVIL}]
    prepared = Path(plan["stages"][0]["folder"]) / "manifest.json"
    manifest = json.loads(prepared.read_text()) | {"packages": {EVIL: EVIL}, "code_revision": EVIL}
    prepared.write_text(json.dumps(manifest))
    (run / "plan.json").write_text(json.dumps(plan))
    reseal(run)
    (run / "recipe.yaml").write_text(json.dumps({"name": EVIL, EVIL: [EVIL]}))
    write_report([run], tmp_path / "out")
    # Those who show Markdown take HTML in it for markup.
    assert not re.search(r"(?<!\\)<(?:script|img|/script)", (tmp_path / "out" / "report.md").read_text())
    open_examples(browser, (tmp_path / "out" / "report.html").as_uri())
    browser.run("document.querySelectorAll('details').forEach(e => { e.open = true; })")
    assert texts(browser, ".example .text")[0] == EVIL and texts(browser, ".example .speaker") == [EVIL]
    assert browser.run("typeof window.pwned") == "undefined"
    assert browser.run("document.querySelectorAll('img, main script:not([type])').length") == 0
    browser.open(f"{(tmp_path / 'out' / 'report.html').as_uri()}#example-{quote(EVIL, safe='')}")
    status(browser, f"No example {EVIL}")
    assert browser.run("typeof window.pwned") == "undefined"


def test_the_policy_stops_what_would_slip_through(window: Browser, address: str) -> None:
    window.open(address)
    blocked = (
        "new Promise(done => { document.addEventListener('securitypolicyviolation', "
        "event => done(event.effectiveDirective), {once: true}); setTimeout(done, 20000, 'nothing'); ACT; })"
    )
    heading = "document.querySelector('h1')"
    script = "const made = document.createElement('script'); made.text = 'window.pwned = 1'; document.body.append(made)"
    for act, directive in (
        (script, "script-src-elem"),
        ("document.body.insertAdjacentHTML('beforeend', '<img src=x>')", "img-src"),
        # Some versions look at a handler when it is set, others when it is to run.
        (f"{heading}.setAttribute('onclick', 'window.pwned = 1'); {heading}.click()", "script-src-attr"),
        ("fetch('https://example.org').catch(() => null)", "connect-src"),
    ):
        assert window.run(blocked.replace("ACT", act)) == directive
    assert window.run("typeof window.pwned") == "undefined"
