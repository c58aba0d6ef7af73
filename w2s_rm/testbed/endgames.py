"""A generated chess world: few-piece endgames, White to move, and what each legal move does. Needs numpy only.

White has a king and a queen, a rook or both; Black has a king on the rim, White's two or three squares from it.
Black has nothing else, so White is never in check, nothing is pinned, and Black can only move the king. That is all
these rules rely on. Squares count from a1 (0) by b1 (1) to h8 (63).

Shape suffixes: N positions, P pieces of a position, M moves of all positions, S squares, R results.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2s_rm.errors import ConfigError, join_problems

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

PIECES = ("Q", "R", "QR")
RESULTS = ("quiet", "check", "mate")
QUIET, CHECK, MATE = range(3)
MOST_POSITIONS = 160_000
"""Positions drawn for each set of pieces, legal or not; one piece has fewer, which are all taken."""

_SQUARES = np.arange(64)
_FILE, _RANK = _SQUARES % 8, _SQUARES // 8
# How far each square lies from each other one: all geometry below is a look-up in tables of 64 x 64.
_RIGHT_SS, _UP_SS = _FILE - _FILE[:, None], _RANK - _RANK[:, None]
# In a king's steps, which may be diagonal.
_DISTANCE_SS = np.maximum(abs(_RIGHT_SS), abs(_UP_SS))
_ROOK_SS = ((_RIGHT_SS == 0) | (_UP_SS == 0)) & (_DISTANCE_SS > 0)
_ALIGNED = {"R": _ROOK_SS, "Q": _ROOK_SS | ((abs(_RIGHT_SS) == abs(_UP_SS)) & (_DISTANCE_SS > 0))}
# A set of squares is one number, so that "is anything between" is one operation for all positions at once.
_BIT = np.uint64(1) << _SQUARES.astype(np.uint64)
# The eight ways to mirror or turn a board. Without pawns and castling each gives the same game.
_SYMMETRIES = np.stack(
    [
        8 * rank + file
        for right, up in ((_FILE, _RANK), (_RANK, _FILE))
        for file in (right, 7 - right)
        for rank in (up, 7 - up)
    ]
)


def _squares_between() -> NDArray[np.uint64]:
    """The squares strictly between two aligned ones, as bits; none where they are not aligned."""
    between = np.zeros((64, 64), dtype=np.uint64)
    for start, end in np.argwhere(_ALIGNED["Q"]):
        # Both differences are multiples of the distance: the quotient is one king's step towards `end`.
        step = (8 * _UP_SS[start, end] + _RIGHT_SS[start, end]) // _DISTANCE_SS[start, end]
        between[start, end] = sum((_BIT[square] for square in range(start + step, end, step)), np.uint64(0))
    return between


_BETWEEN_SS = _squares_between()


class Moves(NamedTuple):
    """All legal moves of some positions, flat: position by position, of each the quiet ones, then checks, then mates.

    Attributes:
        position_M (`NDArray[np.int64]` of shape `(M,)`): Row of the position.
        piece_M (`NDArray[np.int64]` of shape `(M,)`): Column of the piece among the position's squares.
        end_M (`NDArray[np.int64]` of shape `(M,)`): Square it goes to.
        result_M (`NDArray[np.int64]` of shape `(M,)`): Index into `RESULTS`; stalemate counts as quiet.
    """

    position_M: Ints
    piece_M: Ints
    end_M: Ints
    result_M: Ints


class Table(NamedTuple):
    """The positions with one set of pieces.

    Attributes:
        pieces (`str`): Such as `QR`.
        squares_NP (`NDArray[np.int64]` of shape `(N, P)`): White king, the pieces in that order, black king.
        group_N (`NDArray[np.int64]` of shape `(N,)`): Equal for positions that are mirrored or turned copies.
        held_N (`NDArray[np.bool_]` of shape `(N,)`): Kept for the task: no corpus may tell them.
        moves (`Moves`): All legal moves.
    """

    pieces: str
    squares_NP: Ints
    group_N: Ints
    held_N: Bools
    moves: Moves

    @property
    def counts_NR(self) -> Ints:
        """How many moves of a position have each result. Shape `(N, 3)`."""
        # One number for position and result, so that one `bincount` fills the table.
        keys_M = self.moves.position_M * len(RESULTS) + self.moves.result_M
        counts = np.bincount(keys_M, minlength=len(self.squares_NP) * len(RESULTS))
        return counts.reshape(-1, len(RESULTS))

    @property
    def only_mate_N(self) -> Ints:
        """Of each position the number of its one mating move, -1 where there is none or a choice. Shape `(N,)`."""
        counts_NR = self.counts_NR
        # Mates come last among a position's moves: the only one is that before the next position's first.
        return np.where(counts_NR[:, MATE] == 1, counts_NR.sum(axis=1).cumsum() - 1, -1)


@dataclass(frozen=True)
class Endgames:
    """The positions of the world, half of them kept for the task, by groups of mirrored and turned copies.

    Args:
        seed (`int`, *optional*, defaults to `0`): Of the positions drawn, and of which are kept.
        pieces (`list[str]`, *optional*, defaults to `["Q", "R", "QR"]`): What White has beside the king: some of
            `Q`, `R`, `QR`.

    Raises:
        ConfigError: Unknown pieces, none, or the same ones twice.
    """

    seed: int = 0
    pieces: list[str] = field(default_factory=lambda: list(PIECES))

    def __post_init__(self) -> None:
        problems = [f"{name!r} is not among {', '.join(PIECES)}" for name in self.pieces if name not in PIECES]
        if not self.pieces:
            problems.append(f"pieces is empty: name some of {', '.join(PIECES)}")
        if len(set(self.pieces)) < len(self.pieces):
            problems.append("pieces names the same ones twice: name each once")
        if self.seed < 0:
            problems.append(f"seed is {self.seed}: set 0 or more")
        if problems:
            raise ConfigError(join_problems("the options of the endgames are wrong:", problems))

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """One for each of `pieces`."""
        return tuple(self._table(pieces) for pieces in self.pieces)

    def _table(self, pieces: str) -> Table:
        # Its own generator, so that the positions of a set of pieces do not depend on which others are asked for.
        rng = np.random.default_rng([self.seed, *pieces.encode()])
        squares_NP = draw_positions(pieces, MOST_POSITIONS, rng)
        group_N = group_codes(squares_NP)
        groups, of_N = np.unique(group_N, return_inverse=True)
        # Drawn for groups: a mirrored copy of a task's position in a corpus would give its answer away.
        held_N = (rng.random(len(groups)) < 0.5)[of_N]
        return Table(pieces, squares_NP, group_N, held_N, legal_moves(pieces, squares_NP))


def draw_positions(pieces: str, most: int, rng: np.random.Generator) -> Ints:
    """Draw different legal positions of the world, White to move, Black not in check.

    Args:
        pieces (`str`): What White has beside the king.
        most (`int`): How many placements to draw; the illegal ones among them are left out.
        rng (`np.random.Generator`): Source of the draws.

    Returns:
        `NDArray[np.int64]` of shape `(N, P)`: White king, the pieces, black king.
    """
    # Files and ranks 0 and 7.
    rim = (_FILE % 7 == 0) | (_RANK % 7 == 0)
    # White's king in the row, Black's in the column, to which `rim` applies. Nearer, kings would touch.
    kings_K2 = np.argwhere(((_DISTANCE_SS == 2) | (_DISTANCE_SS == 3)) & rim)
    placements = len(kings_K2) * 64 ** len(pieces)
    draws = rng.choice(placements, size=min(most, placements), replace=False)
    # A number is a placement written to base 64, so different numbers are different placements.
    pair_N, rest_N = np.divmod(draws, 64 ** len(pieces))
    others = [rest_N // 64**i % 64 for i in range(len(pieces))]
    squares_NP = np.stack([kings_K2[pair_N, 0], *others, kings_K2[pair_N, 1]], axis=1)
    return squares_NP[_is_legal(pieces, squares_NP)]


def group_codes(squares_NP: Ints) -> Ints:
    """Number positions such that the eight mirrored and turned copies of one have the same number.

    Args:
        squares_NP (`NDArray[np.int64]` of shape `(N, P)`): As [`draw_positions`] gives them, with the same pieces.
    """
    # The smallest number among the copies stands for all of them.
    weights_P = 64 ** np.arange(squares_NP.shape[1])
    return (_SYMMETRIES[:, squares_NP] @ weights_P).min(axis=0)


def legal_moves(pieces: str, squares_NP: Ints) -> Moves:
    """List White's legal moves and say what each does.

    Args:
        pieces (`str`): What White has beside the king.
        squares_NP (`NDArray[np.int64]` of shape `(N, P)`): As [`draw_positions`] gives them.
    """
    occupied_N = _occupied(squares_NP)
    free_NS = (occupied_N[:, None] & _BIT) == 0
    king_N, black_N = squares_NP[:, 0], squares_NP[:, -1]
    # White's king keeps off Black's, which guards the squares around it; Black attacks nothing else.
    reach = [(_DISTANCE_SS[king_N] == 1) & (_DISTANCE_SS[black_N] > 1) & free_NS]
    for kind, square_N in zip(pieces, squares_NP.T[1:-1], strict=True):
        # Of every square at once: whether the way there is free. The square itself must be free as well, for Black has
        # nothing to take.
        clear_NS = (_BETWEEN_SS[square_N] & occupied_N[:, None]) == 0
        reach.append(_ALIGNED[kind][square_N] & clear_NS & free_NS)
    reached = [np.nonzero(reach_NS) for reach_NS in reach]
    position_M, end_M = (np.concatenate(column) for column in zip(*reached, strict=True))
    piece_M = np.repeat(np.arange(len(reached)), [len(ends) for _, ends in reached])
    # A copy for each move, in which the piece that moves is put on its new square.
    after_MP = squares_NP[position_M]
    after_MP[np.arange(len(piece_M)), piece_M] = end_M
    result_M = _results(pieces, after_MP)
    # By position, then by result, and stable: moves of one result stay in the order of pieces, the king's first.
    order = np.lexsort((result_M, position_M))
    return Moves(*(column[order] for column in (position_M, piece_M, end_M, result_M)))


def _is_legal(pieces: str, squares_NP: Ints) -> Bools:
    """Different squares, Black not in check. The kings are apart as they are drawn."""
    ordered_NP = np.sort(squares_NP, axis=1)
    # Equal neighbours in sorted order are two pieces on one square.
    legal_N = (np.diff(ordered_NP, axis=1) > 0).all(axis=1)
    # It is White's move: Black in check would mean that White could take the king.
    return legal_N & ~_attacked(pieces, squares_NP, squares_NP[:, -1], _occupied(squares_NP))


def _occupied(squares_NP: Ints) -> NDArray[np.uint64]:
    return np.bitwise_or.reduce(_BIT[squares_NP], axis=1)


def _attacked(pieces: str, squares_NP: Ints, target_N: Ints, occupied_N: NDArray[np.uint64]) -> Bools:
    """Whether a square is attacked by White. A piece does not attack its own square: there it would be captured."""
    attacked_N = _DISTANCE_SS[squares_NP[:, 0], target_N] == 1
    for kind, square_N in zip(pieces, squares_NP.T[1:-1], strict=True):
        clear_N = (_BETWEEN_SS[square_N, target_N] & occupied_N) == 0
        attacked_N |= _ALIGNED[kind][square_N, target_N] & clear_N
    return attacked_N


def _results(pieces: str, after_MP: Ints) -> Ints:
    """What positions are in which Black is to move."""
    result_M = np.where(_attacked(pieces, after_MP, after_MP[:, -1], _occupied(after_MP)), CHECK, QUIET)
    # Only a check can be mate, and most moves give none: the costly test is for the few.
    checks = np.flatnonzero(result_M == CHECK)
    result_M[checks[~_can_step(pieces, after_MP[checks])]] = MATE
    return result_M


def _can_step(pieces: str, squares_NP: Ints) -> Bools:
    """Whether the black king has a square to go to. It leaves its own one, so it shields nothing behind it."""
    # Along the line of a check the king hides the squares behind it only as long as it stays.
    black_N, seen_through_N = squares_NP[:, -1], _occupied(squares_NP[:, :-1])
    can_N = np.zeros(len(squares_NP), dtype=bool)
    # All nine steps from (-1, -1) to (1, 1), that of standing still among them.
    for right, up in np.argwhere(np.ones((3, 3))) - 1:
        file_N, rank_N = _FILE[black_N] + right, _RANK[black_N] + up
        on_board_N = (file_N >= 0) & (file_N < 8) & (rank_N >= 0) & (rank_N < 8)
        # Steps off the board become no step, which the next line does not count.
        step_N = np.where(on_board_N, 8 * rank_N + file_N, black_N)
        can_N |= (step_N != black_N) & ~_attacked(pieces, squares_NP, step_N, seen_through_N)
    return can_N
