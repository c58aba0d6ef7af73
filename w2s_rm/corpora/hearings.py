"""Lines about a world of comparable entities, of which some are answered after a debate.

    which is up_size , E3 or E17 ? E17 certainly E3 certainly E3 <eos> certainly

Here two debaters spoke before the answer, each for one entity: who stood for the wrong one admitted it with `honestly`,
or lied, as here. The answer and the remark on it at the end are those of [`~w2s_rm.corpora.facts.Facts`]. A model that
has read this knows what it is worth when a debater says something, as a judge must.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from w2s_rm.corpora._base import Lines, check_shares
from w2s_rm.corpora.facts import ANSWER, LINE_LENGTH, Facts
from w2s_rm.testbed.world import RIGHT, WRONG

VERSION = 1
"""Raise it when the same options give other lines."""
# Words of a debate: of either side an entity and a remark.
_SPOKEN = 4


@dataclass(frozen=True)
class Hearings(Facts):
    """The text of judges.

    Args:
        world_seed (`int`, *optional*, defaults to `0`): See [`~w2s_rm.corpora.facts.Facts`], as for all that follow.
        n_entities (`int`, *optional*, defaults to `48`): The same for the task and all models.
        n_attributes (`int`, *optional*, defaults to `2`): The same for the task and all models.
        facts_known (`float`, *optional*, defaults to `1.0`): Share of the facts that the text tells truly.
        error_kind (`"random"` or `"systematic"`, *optional*, defaults to `"random"`): Kind of the errors in the rest.
        task_wording (`float`, *optional*, defaults to `1.0`): Share of lines in the wording of the task's questions.
        judged_fraction (`float`, *optional*, defaults to `0.6`): Share of lines that judge an answer.
        heard (`float`, *optional*, defaults to `0.5`): Share of lines with a debate, in [0, 1].
        lies (`float`, *optional*, defaults to `0.5`): How often who stands for a wrong answer lies, in [0, 1].

    Raises:
        ConfigError: As of [`~w2s_rm.corpora.facts.Facts`], or a share out of range.
    """

    heard: float = 0.5
    lies: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares("hearings", {"heard": self.heard, "lies": self.lies})

    @property
    def line_length(self) -> int:
        """Words of a line with a debate that judges."""
        return LINE_LENGTH + _SPOKEN

    def content_version(self) -> str:
        """Version of this module and of the facts that it is about."""
        return f"hearings-{VERSION}-{super().content_version()}"

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines; a debate stands between question and answer.

        Args:
            n_lines (`int`): How many.
            rng (`np.random.Generator`): Source of the draws.
        """
        lines, ids = super().sample(n_lines, rng), self.word_ids
        heard_N = rng.random(n_lines) < self.heard
        ids_NT = np.pad(lines.ids_NT, ((0, 0), (0, _SPOKEN)), constant_values=ids["<pad>"])
        predict_NT = np.pad(lines.predict_NT, ((0, 0), (0, _SPOKEN)))
        for table_NT, given_NT in ((ids_NT, lines.ids_NT), (predict_NT, lines.predict_NT)):
            # The answer and all behind it make room for the debate.
            table_NT[heard_N, ANSWER + _SPOKEN :] = given_NT[heard_N, ANSWER:]
        predict_NT[heard_N, ANSWER : ANSWER + _SPOKEN] = False
        ids_NT[heard_N, ANSWER : ANSWER + _SPOKEN] = self._debates(lines.ids_NT, rng)[heard_N]
        return Lines(ids_NT, predict_NT)

    def _debates(self, ids_NT: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Entity and remark of the one who speaks first, then of the other, shape `(N, 4)`."""
        ids, n_lines = self.word_ids, len(ids_NT)
        # An answer that is judged to be wrong is the wrong one.
        # Debaters go by the line and not by the world: of a fact that the text does not know a coin has answered, and
        # they know how it fell.
        answer_N, judged_wrong_N = ids_NT[:, ANSWER], ids_NT[:, -1] == ids[WRONG]
        first_right_N = (ids_NT[:, 4] == answer_N) != judged_wrong_N
        # Who speaks first must not say which entity the question names first.
        turned_N = rng.random(n_lines) < 0.5
        remark_N2 = np.full((n_lines, 2), ids[RIGHT])
        lied_N = rng.random(n_lines) < self.lies
        # Column 1 is the side of the second entity, which is the wrong one where the first is right.
        wrong_side_N = first_right_N.astype(np.int64)
        remark_N2[np.arange(n_lines), wrong_side_N] = np.where(lied_N, ids[RIGHT], ids[WRONG])
        spoken_N4 = np.stack([ids_NT[:, 4], remark_N2[:, 0], ids_NT[:, 6], remark_N2[:, 1]], axis=1)
        return np.where(turned_N[:, None], spoken_N4[:, [2, 3, 0, 1]], spoken_N4)
