"""What people said of examples: each judgement a line of its own, none ever changed. No torch.

Who changes his mind adds a line: of what a labeller said of an example the last line counts, and one without
probabilities takes back what he said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from w2s_rm.data.cells import list_in, name_in, number_of
from w2s_rm.errors import DataError
from w2s_rm.types import Row

LABELLER = "labeller"
"""The column by which a file of judgements is known."""


@dataclass(frozen=True)
class Judgement:
    """What a labeller said of an example.

    Args:
        id (`str`): Example id.
        labeller (`str`): Who said it.
        candidate_ids (`tuple[str, ...]`): Content hashes of the K candidates, in the order in which they were shown.
        probabilities (`tuple[float, ...]`, *optional*): K numbers in [0, 1] that sum to 1: 1 for the chosen candidate,
            equal ones for a tie. `None` takes back what the labeller said before.
        seconds (`float`, *optional*): For how long the example was looked at.
        key (`str`, *optional*): Names the judgement, so that one which is sent twice is written once.
        at (`str`, *optional*): When it was written, ISO 8601 in UTC.
    """

    id: str
    labeller: str
    candidate_ids: tuple[str, ...]
    probabilities: tuple[float, ...] | None
    seconds: float | None = None
    key: str | None = None
    at: str | None = None

    def record(self) -> dict[str, Any]:
        """Return what stands in a line."""
        return asdict(self)


def parse_judgement(row: Row) -> Judgement:
    """Read a line.

    Args:
        row (`Row`): With the columns id, candidate_ids, probabilities and labeller.

    Raises:
        DataError: A cell is empty, or no number or list; it does not say where.
    """
    given = row.values.get("probabilities")
    probabilities = (
        None if given is None else tuple(number_of(p, "probabilities") for p in list_in(row, "probabilities"))
    )
    candidate_ids = tuple(str(name) for name in list_in(row, "candidate_ids"))
    if probabilities is not None and len(probabilities) != len(candidate_ids):
        raise DataError(f"{len(candidate_ids)} candidates, {len(probabilities)} probabilities")
    seconds, key, at = (row.values.get(column) for column in ("seconds", "key", "at"))
    return Judgement(
        name_in(row, "id"),
        name_in(row, LABELLER),
        candidate_ids,
        probabilities,
        None if seconds is None else number_of(seconds, "seconds"),
        None if key is None else str(key),
        None if at is None else str(at),
    )


def standing(judgements: Iterable[Judgement]) -> list[Judgement]:
    """Return what counts in the end, one judgement for each labeller and example, in the order in which they were made.

    Args:
        judgements (`Iterable[Judgement]`): In the order of their lines.
    """
    last: dict[tuple[str, str], Judgement] = {}
    for judgement in judgements:
        # Taken out first, so that what is said again comes last.
        last.pop((judgement.labeller, judgement.id), None)
        if judgement.probabilities is not None:
            last[judgement.labeller, judgement.id] = judgement
    return list(last.values())


def votes(judgements: Iterable[Judgement], source: str) -> list[tuple[str, tuple[str, ...], tuple[float, ...]]]:
    """Return the mean over labellers of what they said in the end: id, candidates, probabilities of each example.

    Args:
        judgements (`Iterable[Judgement]`): In the order of their lines.
        source (`str`): Where they come from, for the message.

    Raises:
        DataError: Two labellers judged different candidates under one id.
    """
    of_example: dict[str, list[Judgement]] = defaultdict(list)
    # Each labeller counts once for an example, however often he changed his mind.
    for judgement in standing(judgements):
        of_example[judgement.id].append(judgement)
    return [(id, said[0].candidate_ids, _mean(said, source)) for id, said in of_example.items()]


def _mean(said: Sequence[Judgement], source: str) -> tuple[float, ...]:
    first = said[0]
    shares = []
    for judgement in said:
        if sorted(judgement.candidate_ids) != sorted(first.candidate_ids):
            who = f"{first.labeller} and {judgement.labeller}"
            raise DataError(
                f"{source}: id {first.id!r}: {who} judged different candidates; give each task a file of its own"
            )
        # By name, for each labeller may have seen the candidates in another order.
        # `standing` leaves none without probabilities; the empty tuple is for type checkers alone.
        shares.append(dict(zip(judgement.candidate_ids, judgement.probabilities or (), strict=True)))
    return tuple(sum(share[name] for share in shares) / len(shares) for name in first.candidate_ids)
