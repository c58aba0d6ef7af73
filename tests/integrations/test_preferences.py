"""Scores to preference rows, by hand, and what DPO makes of them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import datasets
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.integrations.dialogues import convert
from w2s_rm.integrations.preferences import to_preferences
from w2s_rm.types import Example, Messages, Text


def example(name: str, *candidates: Text, prompt: Text = "p") -> Example:
    return Example(name, name, prompt, candidates, None)


def spoken(*turns: tuple[str, str]) -> Messages:
    return tuple({"role": role, "content": content} for role, content in turns)


def test_rows_by_hand() -> None:
    made = to_preferences(
        [example("a", " x", " y"), example("b", " x", " y", " z")], [(0.0, math.log(3)), (2.0, 5.0, 1.0)]
    )
    assert made.rows[0] == {
        "id": "a",
        "prompt": "p",
        "chosen": " y",
        "rejected": " x",
        "chosen_probability": pytest.approx(0.75),
        "margin": pytest.approx(math.log(3)),
    }
    # Of three, the best against the worst: sigmoid(4).
    assert (made.rows[1]["chosen"], made.rows[1]["rejected"]) == (" y", " z")
    assert made.rows[1]["chosen_probability"] == pytest.approx(1 / (1 + math.exp(-4.0)))
    assert made.counts == {
        "examples": 2, "ties": 0, "low_confidence": 0, "duplicates": 0, "without_prompt": 0, "rows": 2
    }  # fmt: skip


def test_what_is_dropped_is_counted() -> None:
    pair = (" x", " y")
    examples = [
        example("tie", *pair, prompt="1"),
        example("unsure", *pair, prompt="2"),
        example("just", *pair, prompt="3"),
        example("first", *pair, prompt="4"),
        example("again", *reversed(pair), prompt="4"),
        example("other prompt", *pair, prompt="5"),
        example("bare", *pair, prompt=""),
    ]
    label = (math.log(0.9), math.log(0.1))
    scores = [(1.0, 1.0), (0.0, 0.5), label, (0.0, 9.0), (0.0, 9.0), (0.0, 9.0), (0.0, 9.0)]
    made = to_preferences(examples, scores, min_confidence=0.9, deduplicate=True)
    assert [row["id"] for row in made.rows] == ["just", "first", "other prompt"]
    assert made.counts == {
        "examples": 7, "ties": 1, "low_confidence": 1, "duplicates": 1, "without_prompt": 1, "rows": 3
    }  # fmt: skip
    kept = to_preferences(examples, scores)
    assert [row["id"] for row in kept.rows] == ["unsure", "just", "first", "again", "other prompt"]


def test_a_dropped_pair_makes_no_later_one_a_duplicate() -> None:
    examples = [example("unsure", " x", " y"), example("sure", " x", " y")]
    made = to_preferences(examples, [(0.0, 0.1), (0.0, 9.0)], min_confidence=0.9, deduplicate=True)
    assert [row["id"] for row in made.rows] == ["sure"]


def test_conversations_without_a_prompt_share_one() -> None:
    asked = spoken(("user", "q"))
    candidates = (asked + spoken(("assistant", "yes")), asked + spoken(("assistant", "no")))
    (row,) = to_preferences([example("a", *candidates, prompt=())], [(1.0, 0.0)]).rows
    assert row["prompt"] == [{"role": "user", "content": "q"}]
    assert row["chosen"] == [{"role": "assistant", "content": "yes"}]
    apart = (spoken(("user", "q")), spoken(("user", "r")))
    assert to_preferences([example("a", *apart, prompt=())], [(1.0, 0.0)]).counts["without_prompt"] == 1


@pytest.mark.parametrize(
    ("prompt", "response", "form", "wanted"),
    [
        ("What? ", " Honey.", "conversational", (spoken(("user", "What?")), spoken(("assistant", "Honey.")))),
        (
            "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: What?\n\nAssistant:",
            " Honey.",
            "conversational",
            (
                spoken(("user", "Hi"), ("assistant", "Hello"), ("user", "What?")),
                spoken(("assistant", "Honey.")),
            ),
        ),
        (
            spoken(("user", "Hi"), ("assistant", "Hello"), ("user", "What?")),
            spoken(("assistant", "Honey.")),
            "text",
            ("\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: What?\n\nAssistant:", " Honey."),
        ),
        ("What?", " Honey.", "text", ("What?", " Honey.")),
        (
            spoken(("user", "Hi")),
            spoken(("assistant", "Yes")),
            None,
            (spoken(("user", "Hi")), spoken(("assistant", "Yes"))),
        ),
    ],
)
def test_forms(prompt: Text, response: Text, form: str | None, wanted: tuple[Text, Text]) -> None:
    found, (answer,) = convert(prompt, (response,), form)
    assert (found, answer) == wanted


OPEN = "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: "
ASKED = (("user", "Hi"), ("assistant", "Hello"))
SPLITS: dict[str, tuple[str, tuple[str, str], Messages, tuple[Messages, Messages]]] = {
    "both answers begin alike": (
        f"{OPEN}Is it?\n\nAssistant: I think it",
        (" is.", " was."),
        spoken(*ASKED, ("user", "Is it?")),
        (spoken(("assistant", "I think it is.")), spoken(("assistant", "I think it was."))),
    ),
    "the pair parts in a turn of the user": (
        f"{OPEN}What is",
        (" love?\n\nAssistant: A thing.", " war?\n\nAssistant: Bad."),
        spoken(("user", "Hi")),
        (
            spoken(("assistant", "Hello"), ("user", "What is love?"), ("assistant", "A thing.")),
            spoken(("assistant", "Hello"), ("user", "What is war?"), ("assistant", "Bad.")),
        ),
    ),
    "one answer goes on": (
        f"{OPEN}So?\n\nAssistant:",
        (" Yes.\n\nHuman: Why?\n\nAssistant: Because.", " No."),
        spoken(*ASKED, ("user", "So?")),
        (spoken(("assistant", "Yes."), ("user", "Why?"), ("assistant", "Because.")), spoken(("assistant", "No."))),
    ),
    "one answer ends where the other goes on": (
        f"{OPEN}So?\n\nAssistant: Yes.",
        ("\n\nHuman: Why?\n\nAssistant: Because.", " Really."),
        spoken(*ASKED, ("user", "So?")),
        (
            spoken(("assistant", "Yes."), ("user", "Why?"), ("assistant", "Because.")),
            spoken(("assistant", "Yes. Really.")),
        ),
    ),
    "a prompt that is no transcript": (
        "What? ",
        ("Honey.\n\nHuman: Sure?\n\nAssistant: Yes.", "Wax."),
        spoken(("user", "What?")),
        (spoken(("assistant", "Honey."), ("user", "Sure?"), ("assistant", "Yes.")), spoken(("assistant", "Wax."))),
    ),
    "a prompt that ends with the user": (
        f"{OPEN}So?",
        ("Yes.", "No."),
        spoken(*ASKED, ("user", "So?")),
        (spoken(("assistant", "Yes.")), spoken(("assistant", "No."))),
    ),
    "marks in the responses": (
        "\n\nHuman: So?",
        ("\n\nAssistant: Yes.", "\n\nAssistant: No."),
        spoken(("user", "So?")),
        (spoken(("assistant", "Yes.")), spoken(("assistant", "No."))),
    ),
    "the first mark without its empty line": (
        "Human: So?\n\nAssistant: I",
        (" do.", " don't."),
        spoken(("user", "So?")),
        (spoken(("assistant", "I do.")), spoken(("assistant", "I don't."))),
    ),
    "the user speaks twice, and once says nothing": (
        "\n\nSystem: Be short.\n\nHuman: Hi\n\nAssistant:\n\nHuman: So?\n\nAssistant:",
        (" Yes.", " No."),
        spoken(("system", "Be short."), ("user", "Hi\n\nSo?")),
        (spoken(("assistant", "Yes.")), spoken(("assistant", "No."))),
    ),
}


@pytest.mark.parametrize("name", SPLITS)
def test_transcripts_are_split_at_their_own_marks(name: str) -> None:
    """Wherever prompt and response were parted: no half answer as a turn, no mark inside a message."""
    prompt, responses, asked, answers = SPLITS[name]
    assert convert(prompt, responses, "conversational") == (asked, answers)
    (row,) = to_preferences([example("a", *responses, prompt=prompt)], [(1.0, 0.0)], form="conversational").rows
    assert (row["prompt"], row["chosen"]) == (list(asked), list(answers[0]))
    for turns in (row["prompt"] + row["chosen"], row["prompt"] + row["rejected"]):
        roles = [message["role"] for message in turns if message["role"] != "system"]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert not any("Human:" in message["content"] for message in turns)


@pytest.mark.parametrize(
    ("prompt", "responses", "guessed", "text"),
    [
        ("\n\nHuman: What is", (" love?\n\nAssistant: A.", " war?\n\nAssistant: B."), False, "share no beginning"),
        ("\n\nAssistant: I", (" do.", " don't."), False, "share no beginning"),
        (f"{OPEN}So?\n\nAssistant:", (" Yes.", "\nYes."), False, "the same but for white space"),
        ("\n\nHuman: Hi\n\nAssistant: A\n\nSystem: B\n\nAssistant:", (" C", " D"), False, "a turn of the system"),
        ("What do bees make? They make", (" honey.", " noise."), True, "no mark says where the prompt ends"),
    ],
    ids=["first turn", "no question", "white space", "system", "guessed"],
)
def test_what_has_no_turns_is_counted(prompt: str, responses: tuple[str, str], guessed: bool, text: str) -> None:
    with pytest.raises(DataError, match=text):
        convert(prompt, responses, "conversational", guessed=guessed)
    examples = [example("a", *responses, prompt=prompt), example("b", " yes", " no", prompt=f"{OPEN}So?\n\nAssistant:")]
    made = to_preferences(examples, [(1.0, 0.0)] * 2, form="conversational", guessed_prompts=guessed)
    assert [row["id"] for row in made.rows] == ["b"]
    assert (made.counts["without_turns"], made.counts["rows"]) == (1, 1)
    kept = to_preferences(examples, [(1.0, 0.0)] * 2, form="text", guessed_prompts=guessed)
    assert [row["prompt"] for row in kept.rows] == [one.prompt for one in examples]


def test_conversations_part_before_an_answer() -> None:
    start = spoken(("user", "Hi"), ("assistant", "Hello"))
    candidates = tuple(start + spoken(("user", said), ("assistant", "Yes")) for said in ("So?", "Why?"))
    (row,) = to_preferences([example("a", *candidates, prompt=())], [(1.0, 0.0)]).rows
    assert row["prompt"] == [{"role": "user", "content": "Hi"}]
    assert [message["content"] for message in row["rejected"]] == ["Hello", "Why?", "Yes"]


@pytest.mark.parametrize(
    ("examples", "scores", "options", "error", "text"),
    [
        ([example("a", "x", "y")], [(0.0, 1.0)], {"min_confidence": 0.4}, ConfigError, "min_confidence is 0.4"),
        ([example("a", "x", "y")], [(0.0, 1.0)], {"min_confidence": 1.0}, ConfigError, "min_confidence is 1.0"),
        ([example("a", "x", "y")], [(0.0, 1.0)], {"form": "chat"}, ConfigError, "format 'chat': use conversational"),
        ([example("a", "x", "y")], [], {}, DataError, "1 examples and scores of 0"),
        (
            [example("a", "x", "y"), example("b", "x", "y")],
            [(0.0,), (math.nan, 0.0)],
            {},
            DataError,
            r"example 'a': 2 candidates, scores \[0.0\](.|\n)*example 'b'",
        ),
        (
            [example("a", "x", "y"), example("b", spoken(("assistant", "x")), spoken(("assistant", "y")), prompt=())],
            [(0.0, 1.0)] * 2,
            {},
            DataError,
            "some examples are text and some conversations",
        ),
    ],
)
def test_bad_input(examples: Any, scores: Any, options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        to_preferences(examples, scores, **options)


@pytest.mark.parametrize("form", ["conversational", "text"])
def test_dpo_trains_on_the_rows(form: str, policy_folder: Path, tmp_path: Path) -> None:
    examples = [example(f"e{n}", f" w{n} w5", f" w{n} w6", prompt=f"w7 w{n}") for n in range(10, 18)]
    made = to_preferences(examples, [(1.0, 0.0)] * 8, form=form)
    args = DPOConfig(
        output_dir=str(tmp_path / "out"), max_steps=2, per_device_train_batch_size=4, report_to=[], use_cpu=True,
        bf16=False, save_strategy="no", max_length=64,
    )  # fmt: skip
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy_folder),
        args=args,
        train_dataset=datasets.Dataset.from_list(made.rows),
        processing_class=AutoTokenizer.from_pretrained(policy_folder),
    )
    trainer.train()
    assert trainer.state.global_step == 2
