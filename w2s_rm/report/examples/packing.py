"""Test examples as data for a page, the most telling first, in no more space than there is."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from w2s_rm.report.examples.rows import JudgedExample, RunExamples

BUDGET = 3_000_000
"""Characters of a page that examples may take, all runs together."""
# Probabilities are kept to 0.1 %.
_SHARES = 1000
# Examples that are compressed, and then kept or left out, together.
_PART = 50
# Each compressed part ends at a byte, and the stream with a checksum.
_END = 16


def pack(runs: Sequence[RunExamples], budget: int = BUDGET) -> list[dict[str, Any]]:
    """Return plain data for the page's script, an entry for each run.

    An entry has the `name` of the run, its `seeds` (how many), the names of its `models`, its `pairs`, the number of
    its test examples (`total`), how many of them are `shown`, and these in `lines`: JSON lines, compressed by deflate,
    as base64. Where not all of them fit, those are taken on which a student is right and its supervisor wrong, then
    those on which some model is wrong and none right, then the others, and of each kind those first on which a student
    differs most from its supervisor.

    Args:
        runs (`Sequence` of [`RunExamples`]): What to pack.
        budget (`int`, *optional*, defaults to `BUDGET`): Characters for all `lines` together. Runs take equal shares;
            what one leaves, later ones may take.
    """
    packed = []
    for number, run in enumerate(runs):
        # What earlier runs left is shared among those that follow; base64 makes four characters of three bytes.
        lines, shown = _compressed(_ordered(run), (budget // (len(runs) - number)) // 4 * 3)
        text = base64.b64encode(lines).decode()
        budget -= len(text)
        packed.append(
            {
                "name": run.recipe,
                "seeds": run.n_seeds,
                "models": list(run.models),
                "pairs": [{"method": p.method, "student": p.student, "supervisor": p.supervisor} for p in run.pairs],
                "total": len(run.examples),
                "shown": shown,
                "lines": text,
            }
        )
    return packed


def _ordered(run: RunExamples) -> list[JudgedExample]:
    """The most telling first; those that tell as much in their own order."""

    def place(judged: JudgedExample) -> tuple[int, float]:
        models = range(len(run.models))
        won = any(
            judged.right(pair.student) and judged.wrong(pair.supervisor)
            for pair in run.pairs
            if pair.supervisor is not None
        )
        lost = any(map(judged.wrong, models)) and not any(map(judged.right, models))
        # A student that is right where its supervisor is wrong comes first, then what somebody gets wrong and nobody
        # right, then the rest; within each, where student and supervisor are furthest apart.
        return 0 if won else 1 if lost else 2, -max(map(judged.difference, run.pairs))

    return sorted(run.examples, key=place)


def _compressed(examples: Sequence[JudgedExample], size: int) -> tuple[bytes, int]:
    """The first examples that fit into so many bytes, and how many these are."""
    packer = zlib.compressobj(9)
    data, shown = b"", 0
    for start in range(0, len(examples), _PART):
        part = examples[start : start + _PART]
        text = "".join(f"{json.dumps(_record(judged), separators=(',', ':'))}\n" for judged in part)
        # With all that was compressed before as its dictionary; if it is too large it is dropped, and the packer is as
        # it was.
        trial = packer.copy()
        more = trial.compress(text.encode()) + trial.flush(zlib.Z_SYNC_FLUSH)
        if len(data) + len(more) + _END > size:
            break
        packer, data, shown = trial, data + more, shown + len(part)
    return data + packer.flush(), shown


def _record(judged: JudgedExample) -> Mapping[str, Any]:
    example = judged.example
    return {
        "id": example.id,
        "group": example.group,
        "prompt": example.prompt,
        "candidates": example.candidates,
        "gold": example.gold,
        "truth": example.truth,
        "seeds": judged.seeds,
        # Whole numbers are short; a model that did not score the example keeps its `None`.
        "shares": [shares and [round(_SHARES * share) for share in shares] for shares in judged.shares_MK],
        "choices": judged.choices_M,
    }
