"""Invented rows of every dataset that a task reads from the hub, in the hub's columns, types and layout of files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Features, Value

CONVERTED = "refs/convert/parquet"
TEXT, INT, LONG, TEXTS = Value("string"), Value("int32"), Value("int64"), [Value("string")]
CHOICES = {"text": TEXTS, "label": TEXTS}
TRUTH = ClassLabel(names=["False", "True"])


@dataclass(frozen=True)
class Form:
    """One dataset on the hub, with what the task makes of it.

    Args:
        id (`str`): Owner and name.
        rows (`Mapping[str, Sequence[tuple]]`): Split to rows, in the order of `features`.
        features (`Mapping[str, Any]`): Column to type.
        gold (`Sequence[int | None]`): Of the examples that the task's default options give, in order.
        left_out (`str`, *optional*): What is logged of the other rows.
        config (`str`, *optional*): Configuration, of a main branch that has several.
        folder (`str`, *optional*): Of a configuration in the converted branch.
        revision (`str`, *optional*): The branch.
        suffix (`str`, *optional*): How the hub keeps the rows.
        options (`Mapping[str, Any]`, *optional*): Of the task.
    """

    id: str
    rows: Mapping[str, Sequence[tuple[Any, ...]]]
    features: Mapping[str, Any]
    gold: Sequence[int | None]
    left_out: str = ""
    config: str | None = None
    folder: str | None = None
    revision: str | None = None
    suffix: str = "parquet"
    options: Mapping[str, Any] = field(default_factory=dict)

    def write(self, root: Path) -> None:
        """Lay the files out as the hub does."""
        for split, rows in self.rows.items():
            records = [dict(zip(self.features, row, strict=True)) for row in rows]
            path = root / self._path(split)
            path.parent.mkdir(parents=True, exist_ok=True)
            if self.suffix == "parquet":
                features = Features(dict(self.features))
                encoded = [features.encode_example(record) for record in records]
                datasets.Dataset.from_list(encoded, features=features).to_parquet(path)
            else:
                path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in records).encode()))
        if self.config is not None:
            # Another configuration with other columns: whoever names none gets an error, as on the hub.
            other = root / "other" / "train-00000-of-00001.parquet"
            other.parent.mkdir(parents=True)
            datasets.Dataset.from_list([{"nothing": "of use"}]).to_parquet(other)
            configs = [
                {
                    "config_name": name,
                    "data_files": [{"split": split, "path": f"{name}/{split}-*"} for split in splits],
                }
                for name, splits in ((self.config, self.rows), ("other", ["train"]))
            ]
            (root / "README.md").write_text(f"---\nconfigs: {json.dumps(configs)}\n---\n", encoding="utf-8")

    def _path(self, split: str) -> str:
        if self.suffix != "parquet":
            return f"{self.folder}/{split}.{self.suffix}"
        if self.revision == CONVERTED:
            return f"{self.folder or 'default'}/{split}/0000.parquet"
        return f"{self.config or 'data'}/{split}-00000-of-00001.parquet"


def _ethics(folder: str, columns: Mapping[str, Any], rows: Sequence[tuple[Any, ...]], gold: list[int], left: str = ""):
    parts = {split: [row] for split, row in zip(("train", "validation", "test"), rows[-3:], strict=True)}
    parts["train"] = [*rows[:-3], *parts["train"]]
    return Form("hendrycks/ethics", parts, columns, gold, left, folder=folder, revision=CONVERTED)


BEES, EGG = "Bees carry nectar home.", "Ann boiled an egg."
HH = "\n\nHuman: What do bees make?\n\nAssistant:"
META = {"author": TEXT, "title": TEXT, "url": TEXT}
ABOUT = {"author": "Ann", "title": "Bees", "url": "none"}
PARA = {"effect_dir_sign": TEXT, "cause_prop": TEXT}
PARTS = {"paragraph": INT, "question": INT, "answer": INT}
FIVE = ["nectar", "sap", "dew", "salt"]


def _multirc(number: int, answer: str, label: int) -> tuple[Any, ...]:
    place = {"paragraph": 0, "question": 0, "answer": number}
    return (BEES, "What do bees carry?", answer, place, label)


FORMS: Mapping[str, Form] = {
    "amazon_polarity": Form(
        "fancyzhx/amazon_polarity",
        {"train": [(1, "Never read", "In the train split.")], "test": [(0, "", "Sour."), (1, "Sweet", "Good honey.")]},
        {"label": ClassLabel(names=["negative", "positive"]), "title": TEXT, "content": TEXT},
        [0, 1],
    ),
    "anli_r2": Form(
        "facebook/anli",
        {
            **{f"{split}_r1": [("u", "Round one.", "No.", 0, "")] for split in ("train", "dev", "test")},
            "train_r2": [("a", EGG, "Ann cooked.", 0, ""), ("b", EGG, "It was hers.", 1, "")],
            "dev_r2": [("c", EGG, "Ann slept.", 2, "because")],
            "test_r2": [("d", BEES, "Bees fly.", 0, "")],
        },
        {
            "uid": TEXT,
            "premise": TEXT,
            "hypothesis": TEXT,
            "label": ClassLabel(names=["entailment", "neutral", "contradiction"]),
            "reason": TEXT,
        },
        [1, 0, 0, 1],
    ),
    "anthropic_hh": Form(
        "Anthropic/hh-rlhf",
        {"train": [(HH + " Honey.", HH + " Noise."), (HH + " Wax.", HH)], "test": [(HH + " Never.", HH + " Read.")]},
        {"chosen": TEXT, "rejected": TEXT},
        [0],
        "left out 1 rows with an empty response",
        folder="harmless-base",
        suffix="jsonl.gz",
        options={"data_dir": "harmless-base"},
    ),
    "anthropic_hh_pointwise": Form(
        "Anthropic/hh-rlhf",
        # The hub has pairs that differ in white space alone.
        {"train": [(HH + " Honey.", HH + " Honey. ")], "test": [(HH + " Honey.", HH + " Noise.")]},
        {"chosen": TEXT, "rejected": TEXT},
        [None],
        "left out 1 rows (equal transcripts)",
        folder="harmless-base",
        suffix="jsonl.gz",
        options={"data_dir": "harmless-base"},
    ),
    "arc_easy": Form(
        "allenai/ai2_arc",
        {
            "train": [("q1", "What do bees find?", {"text": FIVE, "label": [*"ABCD"]}, "A")],
            "validation": [("q2", "What is sweet?", {"text": FIVE[1:], "label": ["1", "2", "3"]}, "2")],
            "test": [("q3", "  ", {"text": FIVE, "label": [*"ABCD"]}, "A")],
        },
        {"id": TEXT, "question": TEXT, "choices": CHOICES, "answerKey": TEXT},
        [0, 1],
        "left out 1 rows with a blank 'question'",
        config="ARC-Easy",
    ),
    "boolq": Form(
        "google/boolq",
        {"train": [("do bees make honey", True, BEES)], "validation": [("do bees make milk", False, BEES)]},
        {"question": TEXT, "answer": Value("bool"), "passage": TEXT},
        [1, 0],
    ),
    "cola": Form(
        "nyu-mll/glue",
        {
            "train": [("Bees that the honey makes.", 0, 0)],
            "validation": [("Bees make honey.", 1, 0)],
            "test": [("Bees sleep.", -1, 0)],
        },
        {"sentence": TEXT, "label": ClassLabel(names=["unacceptable", "acceptable"]), "idx": INT},
        [0, 1],
        config="cola",
    ),
    "cosmos_qa": Form(
        "allenai/cosmos_qa",
        {
            "train": [("1", BEES, "Why?", *FIVE[:3], "None of the above choices .", 3)],
            "validation": [("2", BEES, "Why?", *FIVE, 0), ("3", BEES, "Who?", *FIVE[:3], " ", 0)],
            "test": [("4", BEES, "What?", *FIVE, -1)],
        },
        {name: TEXT for name in ("id", "context", "question", "answer0", "answer1", "answer2", "answer3")}
        | {"label": INT},
        [None],
        "left out 1 rows (a question with an empty answer)",
        revision=CONVERTED,
    ),
    "dream": Form(
        "dataset-org/dream",
        {
            split: [(k, f"d{k}", ["M: Where is it?", "W: There."], f"Where {k}?", ["Here.", "There.", "No."], "There.")]
            for k, split in enumerate(("train", "validation", "test"))
        },
        {"id": INT, "dialogue_id": TEXT, "dialogue": TEXTS, "question": TEXT, "choice": TEXTS, "answer": TEXT},
        [None] * 3,
        folder="plain_text",
        revision=CONVERTED,
    ),
    "ethics_deontology": _ethics(
        "deontology",
        {"label": LONG, "scenario": TEXT, "excuse": TEXT},
        [(1, "Could you cook?", "No, I am out."), (0, "Could you cook?", "No, I am red."), (1, "Will you?", "Yes.")],
        [1, 0, 1],
    ),
    "ethics_justice": _ethics(
        "justice",
        {"label": LONG, "scenario": TEXT},
        [(1, "I deserve thanks for the honey."), (0, "I deserve a crown for the honey."), (1, "I stopped.")],
        [1, 0, 1],
    ),
    "ethics_utilitarianism": _ethics(
        "utilitarianism",
        {"baseline": TEXT, "less_pleasant": TEXT},
        [("I ate.", " I ate. "), ("I ate honey.", "I ate."), ("I slept.", "I woke."), ("I sang.", "I wept.")],
        [None] * 3,
        "left out 1 rows (equal scenarios)",
    ),
    "ethics_virtue": _ethics(
        "virtue",
        {"label": LONG, "scenario": TEXT},
        [(1, "Ann gave. [SEP] kind"), (0, "Ann gave. [SEP] cruel"), (0, "Ben sang. [SEP] brave")],
        [1, 0, 0],
    ),
    "hellaswag": Form(
        "Rowan/hellaswag",
        {
            "train": [(4, "Bees", "A bee flies.", "it", "A bee flies. It", FIVE, "v~1", "train", "indomain", "3")],
            "test": [(6, "Bees", "A bee sits.", "it", "A bee sits. It", FIVE, "v~2", "test", "indomain", "")],
            "validation": [(5, "Bees", "A bee eats.", "it", "A bee eats. It", FIVE, "v~3", "val", "zeroshot", "0")],
        },
        {"ind": INT, "activity_label": TEXT, "ctx_a": TEXT, "ctx_b": TEXT, "ctx": TEXT, "endings": TEXTS}
        | dict.fromkeys(("source_id", "split", "split_type", "label"), TEXT),
        [None] * 2,
    ),
    "lichess_puzzles": Form(
        "Lichess/chess-puzzles",
        {
            "train": [
                (
                    "00sHx",
                    "q3k1nr/1pp1nQpp/3p4/1P2p3/4P3/B1PP1b2/B5PP/5K2 b k - 0 17",
                    "e8d7 a2e6 d7d8 f7f8",
                    1760,
                    80,
                    83,
                    72,
                    ["mate", "mateIn2"],
                    ["Italian_Game"],
                )
            ]
        },
        {
            "PuzzleId": TEXT,
            "FEN": TEXT,
            "Moves": TEXT,
            **dict.fromkeys(("Rating", "RatingDeviation", "Popularity", "NbPlays"), INT),
            "Themes": TEXTS,
            "OpeningTags": TEXTS,
        },
        [None],
    ),
    "mc_taco": Form(
        "CogComp/mc_taco",
        {
            "test": [(EGG, "How long?", "ten minutes", 1, 0)],
            "validation": [(EGG, "How long?", "three days", 0, 0), (EGG, "When?", "", 0, 1)],
        },
        {
            "sentence": TEXT,
            "question": TEXT,
            "answer": TEXT,
            "label": ClassLabel(names=["no", "yes"]),
            "category": ClassLabel(names=["Event Duration", "Event Ordering"]),
        },
        [0, 1],
        "left out 1 rows with a blank 'answer'",
        folder="plain_text",
        revision=CONVERTED,
    ),
    "multirc": Form(
        "aps/super_glue",
        {
            "train": [_multirc(0, "nectar", 1), _multirc(1, "", 0), _multirc(2, "milk", 0)],
            "validation": [_multirc(3, "juice of flowers", 1)],
            "test": [_multirc(4, "salt", -1)],
        },
        {"paragraph": TEXT, "question": TEXT, "answer": TEXT, "idx": PARTS, "label": TRUTH},
        [1, 0, 1],
        "left out 1 rows with a blank 'answer'",
        config="multirc",
    ),
    "openbookqa": Form(
        "allenai/openbookqa",
        {
            split: [(split, f"A bee in {split} seeks", {"text": FIVE, "label": [*"ABCD"]}, "D")]
            for split in ("train", "validation", "test")
        },
        {"id": TEXT, "question_stem": TEXT, "choices": CHOICES, "answerKey": TEXT},
        [None] * 3,
        config="main",
    ),
    "paws": Form(
        "google-research-datasets/paws",
        {
            split: [(k, f"The bee met {split}.", f"{split} met the bee.", k % 2)]
            for k, split in enumerate(("train", "test", "validation"))
        },
        {"id": INT, "sentence1": TEXT, "sentence2": TEXT, "label": ClassLabel(names=["0", "1"])},
        [0, 0, 1],
        config="labeled_final",
    ),
    "piqa": Form(
        "ybisk/piqa",
        {
            "train": [("To calm bees,", "use smoke.", "use flour.", 0), (" ", "use smoke.", "use flour.", 1)],
            "validation": [("To keep honey,", "boil it.", "close the jar.", 1)],
            "test": [("To eat honey,", "use a spoon.", "use a net.", -1)],
        },
        {"goal": TEXT, "sol1": TEXT, "sol2": TEXT, "label": ClassLabel(names=["0", "1"])},
        [None] * 2,
        "left out 1 rows with a blank 'goal'",
        folder="plain_text",
        revision=CONVERTED,
    ),
    "quail": Form(
        "textmachinelab/quail",
        {
            split: [(split, "c", "0", "fiction", ABOUT, BEES, f"What in {split}?", "Factual", FIVE, 2)]
            for split in ("train", "validation", "challenge")
        },
        {"id": TEXT, "context_id": TEXT, "question_id": TEXT, "domain": TEXT, "metadata": META, "context": TEXT}
        | {"question": TEXT, "question_type": TEXT, "answers": TEXTS, "correct_answer_id": INT},
        [None] * 2,
        config="quail",
    ),
    "quartz": Form(
        "allenai/quartz",
        {
            split: [(split, f"In {split}?", {"text": ["more", "less"], "label": [*"AB"]}, "B", "Warm.", "p", {}, {})]
            for split in ("train", "validation", "test")
        },
        {"id": TEXT, "question": TEXT, "choices": CHOICES, "answerKey": TEXT, "para": TEXT, "para_id": TEXT}
        | {"para_anno": PARA, "question_anno": PARA},
        [None] * 3,
    ),
    "reward_bench": Form(
        "allenai/reward-bench",
        {
            "raw": [("Never", "read", "m", "here", "n", "hep-python", 0)],
            "filtered": [("What do bees make?", "Honey.", "m", "Noise.", "n", "alpacaeval-easy", 7)]
            + [("What?", "Honey.", "m", "", "n", "alpacaeval-easy", 8)],
        },
        dict.fromkeys(("prompt", "chosen", "chosen_model", "rejected", "rejected_model", "subset"), TEXT)
        | {"id": LONG},
        [0],
        "left out 1 rows with an empty response",
    ),
    **{
        name: Form(
            "allenai/sciq",
            {
                "train": [("What is sweet?", "salt", "sand", "sap", "honey", "Honey is sweet.")],
                "validation": [("What flies?", "salt", "sand", "sap", "a bee", "")],
                "test": [("", "salt", "sand", "sap", "a bee", "Bees fly.")],
            },
            dict.fromkeys(("question", "distractor3", "distractor1", "distractor2", "correct_answer", "support"), TEXT),
            [None] * kept,
            f"left out 1 rows with a blank '{blank}'",
        )
        for name, kept, blank in (("sciq", 2, "question"), ("sciq_with_support", 1, "support"))
    },
    "social_i_qa": Form(
        "allenai/social_i_qa",
        {
            "train": [("Ann gave Ben honey.", "What next?", "thank", "sell", "hide", "1")],
            "validation": [("Ben ate it.", "Why?", "hunger", "anger", "fear", "3")],
        },
        dict.fromkeys(("context", "question", "answerA", "answerB", "answerC", "label"), TEXT),
        [None] * 2,
        revision=CONVERTED,
    ),
    "sst2": Form(
        "nyu-mll/glue",
        {
            "train": [
                ("a warm film ", 1, 0),
                ("a warm film about bees , and a funny one . ", 1, 1),
                ("warm ", 1, 2),
                ("warm film about honey ", 0, 3),
                ("dull . ", 0, 4),
            ],
            "validation": [("it is dull . ", 0, 0)],
            "test": [("never read . ", -1, 0)],
        },
        {"sentence": TEXT, "label": ClassLabel(names=["negative", "positive"]), "idx": INT},
        [1, 0, 0],
        "left out 3 rows that are phrases of other rows",
        config="sst2",
    ),
    "twitter_sentiment": Form(
        "cardiffnlp/tweet_eval",
        {
            "train": [("What a joy!", 2), ("It is noon.", 1)],
            "test": [("I am stung.", 0)],
            "validation": [("Honey!", 2)],
        },
        {"text": TEXT, "label": ClassLabel(names=["negative", "neutral", "positive"])},
        [1, 1, 0],
        "left out 1 rows (neutral)",
        config="sentiment",
    ),
    "wic": Form(
        "aps/super_glue",
        {
            "train": [("bank", "On the bank.", "The bank lent.", 7, 4, 11, 8, 0, 0)],
            "validation": [("comb", "A comb of wax.", "The comb was full.", 2, 4, 6, 8, 0, 1)],
            "test": [("bee", "A bee.", "The bee.", 2, 4, 5, 7, 0, -1)],
        },
        {"word": TEXT, "sentence1": TEXT, "sentence2": TEXT}
        | dict.fromkeys(("start1", "start2", "end1", "end2", "idx"), INT)
        | {"label": TRUTH},
        [0, 1],
        config="wic",
    ),
}
"""`gold` is `None` where it depends on a hash: which answer is shown, which scenario stands first."""
