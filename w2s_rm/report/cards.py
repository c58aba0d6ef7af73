"""Model cards: written with the model, and again with what a run's report says about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from w2s_rm.files import write_text
from w2s_rm.report.card_facts import WITH_CARDS, find_uses, gather
from w2s_rm.report.card_text import card_text
from w2s_rm.runs.folder import CARD, StageFolder
from w2s_rm.runs.plan import read_plan


def write_card(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the card of a model that has just been trained; no run has a report about it yet.

    Args:
        folder (`Path`): The stage's folder; `model/` is there.
        manifest (`Mapping`): What its manifest will hold: `counts` and `packages`.
    """
    write_text(folder / CARD, card_text(gather(folder, manifest)))


def update_cards(run: Path) -> list[Path]:
    """Write the cards of a run's models again, with the rows of every run beside it that uses them.

    The text depends on the folders alone. Models that are no longer there are passed over.

    Args:
        run (`Path`): The folder of a run whose report is written.

    Returns:
        `list[Path]`: The cards.

    Raises:
        ArtifactError: A plan, a report or a manifest does not parse.
    """
    plan = read_plan(run)
    # A model stands in the plan once for each role and seed that share it; its card is written once.
    names = dict.fromkeys(Path(stage["folder"]).name for stage in plan["stages"] if stage["stage"] in WITH_CARDS)
    cards = []
    # By name beside the run: the paths in a plan are those of the place where it was made.
    for folder in (run.parent / "stages" / name for name in names):
        if (folder / "model").is_dir() and StageFolder(folder).finished:
            facts = gather(folder, StageFolder(folder).manifest(), find_uses(folder, run.parent))
            write_text(folder / CARD, card_text(facts))
            cards.append(folder / CARD)
    return cards
