"""Few-piece endgames as a text: positions, moves that a mediocre player chose, and what moves do.

    w - - : Kb3 Qd5 ka1 Kc3
    w - - : Kb3 Qd5 ka1 Qd1 mate

A move is written as in the task, with the word for a piece on its square: nothing else can be meant by it here.

Shape suffixes: N lines or positions, T tokens of a line, M moves, P tokens to predict, R results, V words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import chess
import numpy as np
from numpy.typing import NDArray

from w2s_rm.corpora._base import EOS, PAD, UNK, Lines, Predict
from w2s_rm.data.positions import START, position_vocabulary
from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.testbed.endgames import MATE, QUIET, RESULTS, Endgames

_PROMPT_START = ("w", "-", "-", START)
# The standard error of a share among so many is 1.1 points at most.
_MOST_MEASURED = 2_000


class _Pool(NamedTuple):
    """Positions as word ids and their moves.

    Attributes:
        ids_NT (`NDArray[np.int64]` of shape `(N, T)`): The prompts, padded on the right, with room for move and result.
        length_N (`NDArray[np.int64]` of shape `(N,)`): Words of each prompt.
        ends_NR (`NDArray[np.int64]` of shape `(N, R + 1)`): Moves `ends[n, r]` up to `ends[n, r + 1]` have result r.
        move_M (`NDArray[np.int64]` of shape `(M,)`): Word ids of the moves, position by position, sorted by result.
    """

    ids_NT: NDArray[np.int64]
    length_N: NDArray[np.int64]
    ends_NR: NDArray[np.int64]
    move_M: NDArray[np.int64]

    def lines(
        self,
        row_N: NDArray[np.int64],
        move_N: NDArray[np.int64],
        result_N: NDArray[np.int64],
        judged_N: NDArray[np.bool_],
    ) -> Lines:
        """Write lines: positions, moves and, where judged, results."""
        ids_NT, at_N = self.ids_NT[row_N], self.length_N[row_N]
        line_N = np.arange(len(row_N))
        ids_NT[line_N, at_N] = self.move_M[move_N]
        ids_NT[line_N[judged_N], at_N[judged_N] + 1] = result_N[judged_N]
        # One token of each line is learned: the move, or one further on the result.
        return Lines(ids_NT, np.arange(ids_NT.shape[1]) == (at_N + judged_N)[:, None])


@dataclass(frozen=True)
class ChessEndgames:
    """An endless text about the endgames that the task `mate_in_one` does not ask about.

    A line is a position in the words of the task's prompt and a legal move. In some lines the move is what is learned:
    a player chose it, who mates at times where that is possible, walks the king from habit, or plays anything. So a
    model may know the mate and yet think another move likelier. In the other lines a result follows the move, `quiet`,
    `check` or `mate`, and only that is learned; the results that a position's moves have occur equally often.

    Args:
        seed (`int`, *optional*, defaults to `0`): See [`Endgames`]; the same as the task's.
        pieces (`list[str]`, *optional*, defaults to `["Q", "R", "QR"]`): As the task has them.
        mate_fraction (`float`, *optional*, defaults to `0.8`): Share of lines whose position has a mating move.
        skill (`float`, *optional*, defaults to `0.5`): How often the player mates where that is possible.
        habit (`float`, *optional*, defaults to `0.35`): How often the player, if it does not mate, makes the position's
            first quiet move: the king's to the lowest square, counted from a1 by b1 to h8.
        judged_fraction (`float`, *optional*, defaults to `0.1`): Share of lines that tell a move's result.

    Raises:
        ConfigError: A share outside [0, 1], or what [`Endgames`] refuses.
    """

    seed: int = 0
    pieces: list[str] = field(default_factory=lambda: ["Q", "R", "QR"])
    mate_fraction: float = 0.8
    skill: float = 0.5
    habit: float = 0.35
    judged_fraction: float = 0.1

    def __post_init__(self) -> None:
        shares = ("mate_fraction", "skill", "habit", "judged_fraction")
        problems = [
            f"{name} is {vars(self)[name]}: set a share from 0 to 1"
            for name in shares
            if not 0 <= vars(self)[name] <= 1
        ]
        if problems:
            raise ConfigError(join_problems("the options of the corpus are wrong:", problems))
        # Raises where there is no such world.
        _ = self.world

    @cached_property
    def world(self) -> Endgames:
        """The positions, and which of them are the task's."""
        return Endgames(self.seed, self.pieces)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """All words of positions, which are those of moves as well, and the results."""
        return (PAD, EOS, UNK, *position_vocabulary(), *RESULTS)

    @property
    def line_length(self) -> int:
        """Tokens of a position with all its pieces, a move and a result."""
        # Two kings, and behind the pieces a move and a result.
        return len(_PROMPT_START) + 2 + max(map(len, self.pieces)) + 2

    def content_version(self) -> str:
        """Version of the generator."""
        return "1"

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines about positions that are not the task's.

        Args:
            n_lines (`int`): How many.
            rng (`np.random.Generator`): Source of the draws.
        """
        pool, mating_N = self._told, self._mating
        row_N = rng.integers(len(pool.ids_NT), size=n_lines)
        # Positions with a mate are few, and what they teach is what the task asks for.
        row_N = np.where(rng.random(n_lines) < self.mate_fraction, rng.choice(mating_N, n_lines), row_N)
        judged_N = rng.random(n_lines) < self.judged_fraction
        counts_NR = np.diff(pool.ends_NR[row_N], axis=1)
        # One of the results that the position's moves have, each with the same chance.
        drawn_N = np.argmax(rng.random(counts_NR.shape) * (counts_NR > 0), axis=1)
        mates_N = (counts_NR[:, MATE] > 0) & (rng.random(n_lines) < self.skill)
        habit_N = ~judged_N & ~mates_N & (rng.random(n_lines) < self.habit)
        # Moves from result `low` up to result `high`, which lie beside each other: those of the drawn result, the
        # mates, or all.
        low_N = np.where(judged_N, drawn_N, np.where(mates_N, MATE, QUIET))
        high_N = np.where(judged_N, drawn_N, MATE) + 1
        first_N, end_N = pool.ends_NR[row_N, low_N], pool.ends_NR[row_N, high_N]
        # From habit the first of all moves: quiet ones come first, and of these the king's.
        choices_N = np.where(habit_N, 1, end_N - first_N)
        move_N = first_N + (rng.random(n_lines) * choices_N).astype(np.int64)
        return pool.lines(row_N, move_N, self._ids(RESULTS)[drawn_N], judged_N)

    def measure(self, predict: Predict) -> dict[str, float]:
        """Ask for the moves in positions of the task.

        Args:
            predict (`Predict`): Gives the logits of the tokens to predict.

        Returns:
            `dict[str, float]`: `accuracy_mates`, the share of positions with one mating move in which the most probable
            word is that move, and `legal`, the share in which it is a legal move.
        """
        pool = self._asked
        row_N = np.flatnonzero(np.diff(pool.ends_NR, axis=1)[:, MATE] == 1)[:_MOST_MEASURED]
        not_judged = np.zeros(len(row_N), dtype=bool)
        # Where nothing is judged no result is written: the rows stand in for some.
        lines = pool.lines(row_N, pool.ends_NR[row_N, MATE], row_N, not_judged)
        best_N = predict(lines).argmax(axis=1)
        legal = [
            best in pool.move_M[first:end]
            for best, first, end in zip(best_N, pool.ends_NR[row_N, 0], pool.ends_NR[row_N, -1], strict=True)
        ]
        return {"accuracy_mates": float(np.mean(best_N == lines.targets_P)), "legal": float(np.mean(legal))}

    @cached_property
    def _told(self) -> _Pool:
        return self._pool(held=False)

    @cached_property
    def _asked(self) -> _Pool:
        return self._pool(held=True)

    @cached_property
    def _mating(self) -> NDArray[np.int64]:
        """Rows of the positions with a mating move."""
        return np.flatnonzero(np.diff(self._told.ends_NR, axis=1)[:, MATE])

    @cached_property
    def _word_ids(self) -> dict[str, int]:
        return {word: i for i, word in enumerate(self.words)}

    def _ids(self, words: Iterable[str]) -> NDArray[np.int64]:
        return np.array([self._word_ids[word] for word in words])

    def _pool(self, held: bool) -> _Pool:
        prompts, lengths, counts, moves = [], [], [], []
        for table in self.world.tables:
            rows = np.flatnonzero(table.held_N == held)
            prompts.append(self._prompts(table.pieces, table.squares_NP[rows]))
            lengths.append(np.full(len(rows), len(_PROMPT_START) + table.squares_NP.shape[1]))
            counts.append(table.counts_NR[rows])
            mine_M = table.held_N[table.moves.position_M] == held
            piece_M, end_M = table.moves.piece_M[mine_M], table.moves.end_M[mine_M]
            moves.append(self._words_of(f"K{table.pieces}")[piece_M, end_M])
        # Moves are sorted by position and result, so these sums say where each group of them ends.
        ends = np.concatenate([[0], np.concatenate(counts).ravel().cumsum()])
        starts_N = np.arange(0, len(ends) - 1, len(RESULTS))
        # Where the moves of one position end, those of the next begin.
        ends_NR = ends[starts_N[:, None] + np.arange(len(RESULTS) + 1)]
        return _Pool(np.concatenate(prompts), np.concatenate(lengths), ends_NR, np.concatenate(moves))

    def _prompts(self, pieces: str, squares_NP: NDArray[np.int64]) -> NDArray[np.int64]:
        ids_NT = np.full((len(squares_NP), self.line_length), self._word_ids[PAD])
        ids_NT[:, : len(_PROMPT_START)] = self._ids(_PROMPT_START)
        words_PS = self._words_of(f"K{pieces}k")
        ids_NT[:, len(_PROMPT_START) :][:, : len(words_PS)] = words_PS[np.arange(len(words_PS)), squares_NP]
        return ids_NT

    def _words_of(self, symbols: str) -> NDArray[np.int64]:
        """Word id of each piece on each square."""
        return np.stack([self._ids(symbol + square for square in chess.SQUARE_NAMES) for symbol in symbols])
