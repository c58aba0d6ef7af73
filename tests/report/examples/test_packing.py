"""Examples as data for the page: nothing lost, the most telling first, never more than there is room for."""

from __future__ import annotations

import base64
import json
import random
import zlib
from typing import Any

from w2s_rm.render.elements import Examples, Paragraph
from w2s_rm.report.examples import JudgedExample, Pair, RunExamples
from w2s_rm.report.examples.content import example_blocks
from w2s_rm.report.examples.packing import pack
from w2s_rm.types import Example


def judged(name: str, student: float, supervisor: float, *, gold: int | None = 1, text: str = "x") -> JudgedExample:
    """Two candidates: the probabilities are those of the second one."""
    example = Example(name, "g", text, ("a", "b"), gold)
    shares = tuple((1 - share, share) for share in (supervisor, student))
    return JudgedExample(example, 1, shares, tuple(int(share > 0.5) for share in (supervisor, student)))


def a_run(*examples: JudgedExample, name: str = "r") -> RunExamples:
    return RunExamples(name, 1, ("supervisor", "student"), (Pair("naive", 1, 0),), examples)


def unpacked(entry: dict[str, Any]) -> list[dict[str, Any]]:
    text = zlib.decompress(base64.b64decode(entry["lines"])).decode()
    return [json.loads(line) for line in text.splitlines()]


def test_all_there_is_comes_back() -> None:
    conversation = ({"role": "user", "content": "half a character: \ud800, </script>"},)
    example = Example("e", "g", conversation, ("a", "b", "c"), None, truth=(0.5, 0.5, 0.0))
    one = JudgedExample(example, 2, ((0.3333, 0.6667, 0.0), None), (1, None))
    (entry,) = pack([RunExamples("r", 3, ("supervisor", "student"), (Pair("naive", 1, None),), (one,))])
    assert {name: entry[name] for name in ("name", "seeds", "models", "pairs", "total", "shown")} == {
        "name": "r",
        "seeds": 3,
        "models": ["supervisor", "student"],
        "pairs": [{"method": "naive", "student": 1, "supervisor": None}],
        "total": 1,
        "shown": 1,
    }
    assert unpacked(entry) == [
        {
            "id": "e",
            "group": "g",
            "prompt": list(conversation),
            "candidates": ["a", "b", "c"],
            "gold": None,
            "truth": [0.5, 0.5, 0.0],
            "seeds": 2,
            "shares": [[333, 667, 0], None],
            "choices": [1, None],
        }
    ]


def test_the_most_telling_come_first() -> None:
    run = a_run(
        judged("both right", 0.9, 0.6),
        judged("both wrong", 0.2, 0.1),
        judged("won", 0.6, 0.4),
        judged("lost", 0.1, 0.9),
        judged("won by more", 0.8, 0.4),
        judged("no truth", 0.9, 0.0, gold=None),
    )
    (entry,) = pack([run])
    order = ["won by more", "won", "both wrong", "no truth", "lost", "both right"]
    assert [record["id"] for record in unpacked(entry)] == order


def test_what_does_not_fit_is_left_out_and_counted() -> None:
    rng = random.Random(0)
    examples = [judged(f"e{i}", 0.9, rng.random() / 2, text=rng.randbytes(300).hex()) for i in range(400)]
    (whole,) = pack([a_run(*examples)])
    assert whole["shown"] == 400
    (part,) = pack([a_run(*examples)], budget=60_000)
    # Hexadecimal digits hold four bits of the six of base64.
    assert 60_000 * 0.7 < len(part["lines"]) <= 60_000 and 100 <= part["shown"] < 200
    assert unpacked(part) == unpacked(whole)[: part["shown"]]
    assert pack([a_run(*examples)], budget=60_000) == [part]


def test_runs_share_the_room() -> None:
    rng = random.Random(0)
    large = [judged(f"e{i}", 0.9, 0.1, text=rng.randbytes(300).hex()) for i in range(400)]
    small, first, second = pack(
        [a_run(judged("e", 0.9, 0.1)), a_run(*large, name="a"), a_run(*large, name="b")], budget=120_000
    )
    assert small["shown"] == 1 and 50 <= first["shown"] <= second["shown"] < 400
    # What the small run leaves is taken by the others.
    assert len(first["lines"]) > 40_000 and sum(len(one["lines"]) for one in (small, first, second)) <= 120_000


def test_the_page_says_what_is_left_out() -> None:
    rng = random.Random(0)
    large = [judged(f"e{i}", 0.9, 0.1, text=rng.randbytes(20_000).hex()) for i in range(150)]
    content = example_blocks([a_run(*large), a_run(name="nothing")])
    texts = [block.text for block in content if isinstance(block, Paragraph)]
    (shown,) = [block.runs[0]["shown"] for block in content if isinstance(block, Examples)]
    assert 0 < shown < 150
    assert texts[0] == "Without examples, because the test split is no longer on file: nothing."
    assert texts[1].startswith(f"r: the page has room for {shown} of 150 test examples. They are those on which")
    assert not any(isinstance(block, Examples) for block in example_blocks([a_run(name="nothing")]))
