"""One labeller at work: what has been said, and what is said next, which is on the disk before it is acknowledged."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from w2s_rm.data.cells import parse_each
from w2s_rm.data.formats import JSONL_SUFFIXES, jsonl_rows
from w2s_rm.data.judgements import LABELLER, Judgement, parse_judgement, standing
from w2s_rm.data.reading import read_rows
from w2s_rm.errors import ConfigError, DataError, join_problems
from w2s_rm.files import append_line, cut_unfinished_line
from w2s_rm.people.questions import TIE, Question

# Seconds: three years, longer than any page lies open.
_LONGEST = 100_000_000
# Characters.
_SHOWN = 100
# Bytes that are looked at for how the line of a judgement begins.
_FIRST = 1 << 12
_BEGINNING = b'{"id": '
_GZIPPED = b"\x1f\x8b"


class Sitting:
    """The questions of a labeller, and the file of judgements.

    Args:
        path (`Path`): The file; it may hold judgements of others and on other examples too.
        labeller (`str`): Who answers.
        asked (`Sequence[Question]`): The questions, in their order.
        ties (`bool`): Whether a tie is an answer.

    Raises:
        DataError: The file is none of judgements, or has one on other candidates of the same example; it is as it was.
        ConfigError: It has the name of no file of judgements.
    """

    def __init__(self, path: Path, labeller: str, asked: Sequence[Question], ties: bool) -> None:
        self.path, self.labeller, self.ties = path, labeller, ties
        self.asked = {question.name: question for question in asked}
        # A server has a thread for each request.
        self._lock = threading.Lock()
        check_output(path)
        said = [one for one in read_judgements(path, growing=True) if one.labeller == labeller]
        # Of all lines, also of answers that were changed since: a page may send any of them again.
        self._keys = {one.key: one.id for one in said if one.key is not None}
        self._said = dict(self._restored(standing(said)))
        # Only now: of a file that is none of judgements, nothing is cut.
        self.was_unfinished = cut_unfinished_line(path)

    def _restored(self, said: Sequence[Judgement]) -> list[tuple[str, Judgement]]:
        by_id = {question.example.id: question for question in self.asked.values()}
        # Judgements of other splits may lie in the same file.
        ours = [(by_id[judgement.id], judgement) for judgement in said if judgement.id in by_id]
        problems = [
            f"id {judgement.id!r}: its candidates are others now"
            for question, judgement in ours
            if sorted(question.candidate_ids) != sorted(judgement.candidate_ids)
        ]
        if problems:
            heading = f"{self.path}: judgements of another task; name another --output, or the task as it was"
            raise DataError(join_problems(heading, problems))
        return [(question.name, judgement) for question, judgement in ours]

    @property
    def n_answered(self) -> int:
        """How many questions have an answer."""
        return len(self._said)

    @property
    def seconds(self) -> list[float]:
        """For how long each question was looked at that has an answer, where that is known."""
        return [said.seconds for said in self._said.values() if said.seconds is not None]

    def state(self) -> dict[str, Any]:
        """What a page needs to begin: names of questions in order, answers in the order in which they were given."""
        with self._lock:
            answers = [[name, self._choice(name, said), said.seconds] for name, said in self._said.items()]
        return {"labeller": self.labeller, "ties": self.ties, "asked": list(self.asked), "answers": answers}

    def _choice(self, name: str, said: Judgement) -> int | str:
        label = dict(zip(said.candidate_ids, said.probabilities or (), strict=True))
        return self.asked[name].choice(label)

    def answer(self, message: Mapping[str, Any]) -> None:
        """Write an answer into the file; one that was sent before is not written again.

        Args:
            message (`Mapping[str, Any]`): `key` (`str`), `question` (`str`), `choice` (a place from 0, `"tie"`, or
                `None` to take an answer back), `seconds` (`float`).

        Raises:
            DataError: It is no answer to a question of this sitting.
            OSError: It cannot be written; nothing was.
        """
        with self._lock:
            key, name = message.get("key"), message.get("question")
            # The page sends an answer again until it hears of it, and may have missed that it was written; by now the
            # server may ask fewer questions.
            if isinstance(key, str) and key in self._keys:
                known = self.asked.get(name) if isinstance(name, str) else None
                if known is not None and self._keys[key] != known.example.id:
                    raise DataError(f"key {key!r} is that of an answer to another question; each needs its own")
                return
            key, question = self._named(message)
            judgement = self._judgement(message, key, question)
            # First into the file: where it cannot be written, nothing here has changed, and the page sends it again.
            append_line(self.path, json.dumps(judgement.record()))
            self._keys[key] = judgement.id
            name = question.name
            # Out and in again: answers keep the order in which they were given, by which the page undoes the last one.
            self._said.pop(name, None)
            if judgement.probabilities is not None:
                self._said[name] = judgement

    def _named(self, message: Mapping[str, Any]) -> tuple[str, Question]:
        """The key of an answer, and the question that it is to."""
        key, name = message.get("key"), message.get("question")
        question = self.asked.get(name) if isinstance(name, str) else None
        if question is None:
            raise DataError(
                "this question is none of the server's; start `w2s-rm label` again with the task, split and labeller "
                "that it had when the page was opened"
            )
        if not isinstance(key, str) or not key:
            raise DataError("an answer needs a key, a text that no other answer has")
        return key, question

    def _judgement(self, message: Mapping[str, Any], key: str, question: Question) -> Judgement:
        # Without one nothing is meant: what takes an answer back says so.
        if "choice" not in message:
            raise DataError("an answer needs a choice, null to take one back")
        choice, seconds = message["choice"], message.get("seconds")
        # `True` is 1 to Python, and would be the second candidate.
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= _LONGEST:
            raise DataError(f"seconds is {_shown(seconds)}, not a number from 0 to {_LONGEST:,}")
        if isinstance(choice, bool) or choice is not None and choice not in self._choices(question):
            raise DataError(f"choice is {_shown(choice)}, none of those that the question has")
        return Judgement(
            question.example.id,
            self.labeller,
            question.candidate_ids,
            None if choice is None else question.probabilities(choice),
            round(float(seconds), 2),
            key,
            datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )

    def _choices(self, question: Question) -> list[int | str]:
        return [*range(len(question.order)), *([TIE] if self.ties else [])]


def check_output(path: Path) -> None:
    """Check that what is written line by line can be read again.

    Args:
        path (`Path`): Where judgements go.

    Raises:
        ConfigError: Files of that name have another form.
    """
    if path.suffix not in JSONL_SUFFIXES:
        raise ConfigError(
            f"{path}: answers are JSON, one a line; let the name of --output end in {', '.join(JSONL_SUFFIXES)}"
        )


def read_judgements(path: Path, *, growing: bool = False) -> list[Judgement]:
    """Read a file of judgements; none where there is no file yet.

    Args:
        path (`Path`): JSONL.
        growing (`bool`, *optional*, defaults to `False`): Whether lines are being added to it: what is there of a last
            one that is not written to its end is passed over.

    Raises:
        DataError: It cannot be read, or is no file of judgements.
    """
    if not path.exists() or path.stat().st_size == 0:
        return []
    if not growing:
        rows = list(read_rows(path))
    else:
        with path.open("rb") as file:
            begins = file.read(_FIRST).lstrip()[: len(_BEGINNING)]
        rows = list(jsonl_rows(path, growing=True))
        # Only an unfinished line is there: it may be anyone's.
        if not rows and begins and not _BEGINNING.startswith(begins):
            raise DataError(f"{path}: no judgements, and `w2s-rm label` adds to nothing else; name another file")
        if begins.startswith(_GZIPPED):
            raise DataError(f"{path}: gzipped, so that no line can be added; decompress it, or name another file")
    if rows and LABELLER not in rows[0].values:
        raise DataError(f"{path}: labels without a labeller, which `w2s-rm label` does not add to; name another file")
    return parse_each(path, rows, parse_judgement)


def _shown(value: Any) -> str:
    """A value that somebody sent, for a message."""
    try:
        return repr(value)[:_SHOWN]
    except ValueError:
        # Python writes no number of thousands of digits.
        return "a number of too many digits"
