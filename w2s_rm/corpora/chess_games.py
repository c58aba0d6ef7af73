"""Games that were played: a position as words, then the moves that followed it.

    w KQkq - : Ke1 Qd1 ... pg7 ph7 e2e4 e7e5 g1f3 ...

Rules are python-chess's. Shape suffixes: N lines, T tokens of a line, P tokens to predict, V words of the vocabulary.
"""

from __future__ import annotations

import gzip
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import chess
import numpy as np
from numpy.typing import NDArray

from w2s_rm.corpora._base import EOS, PAD, UNK, Lines, Predict
from w2s_rm.data.cache import cache_folder, write_arrays
from w2s_rm.data.positions import move_vocabulary, piece_words, position_vocabulary
from w2s_rm.data.reading import content_version, resolve_path
from w2s_rm.errors import ConfigError, DataError, join_problems
from w2s_rm.types import content_hash

VERSION = 1
"""Raise it when the same file and options give other lines."""
POSITION_LENGTH = 36
"""Words of the longest position: side, castling, en passant, colon and 32 pieces."""
# Each token to predict has logits over some 2,800 words: few lines fill the memory.
_MEASURED_AT_ONCE = 256


class _Table(NamedTuple):
    """All lines of a file, in the order of its games.

    Attributes:
        ids_NT (`NDArray[np.int16]` of shape `(N, T)`): Word ids.
        first_N (`NDArray[np.int16]` of shape `(N,)`): Column of the first move.
        game_N (`NDArray[np.int32]` of shape `(N,)`): Number of the game, from 0.
    """

    ids_NT: NDArray[np.int16]
    first_N: NDArray[np.int16]
    game_N: NDArray[np.int32]

    def rows(self, chosen: NDArray[np.int64]) -> Lines:
        ids_NT = self.ids_NT[chosen].astype(np.int64)
        # 0 is PAD, the first of the words.
        return Lines(ids_NT, (np.arange(ids_NT.shape[1]) >= self.first_N[chosen, None]) & (ids_NT != 0))


@dataclass(frozen=True)
class ChessGames:
    """Lines from a file of games. Only moves are to be predicted, each from the position and the moves before it.

    The file is read and checked once; the lines are kept in the user's cache folder.

    Args:
        path (`str`): Text file, may be gzipped (`.gz`): one game a line, its moves in UCI notation between spaces, from
            the usual starting position. Blank lines are passed over.
        n_moves (`int`, *optional*, defaults to `16`): Moves that follow the position in a line.
        start_every (`int` or `None`, *optional*): Half-moves from the start of one line to the start of the next in the
            same game. If `None`, the largest odd number up to `n_moves`: each move occurs, and lines begin with either
            side to move, which an even number would never give.
        n_games (`int` or `None`, *optional*): Games to read from the top of the file, all if `None`.
        n_heldout (`int`, *optional*, defaults to `500`): Games at the end of those read that are kept for measuring.

    Raises:
        ConfigError: An option is out of range; the message lists all of them.
    """

    path: str
    n_moves: int = 16
    start_every: int | None = None
    n_games: int | None = None
    n_heldout: int = 500

    def __post_init__(self) -> None:
        # Of the games that are read, one at least is left to learn from.
        least = {"n_moves": 1, "start_every": 1, "n_games": self.n_heldout + 1, "n_heldout": 1}
        problems = [
            f"{name} is {vars(self)[name]}: set at least {low}"
            for name, low in least.items()
            if vars(self)[name] is not None and vars(self)[name] < low
        ]
        if problems:
            raise ConfigError(join_problems("the options of the corpus chess_games are wrong:", problems))

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The vocabulary: the words of positions and all moves."""
        return (PAD, EOS, UNK, *position_vocabulary(), *move_vocabulary())

    @property
    def line_length(self) -> int:
        """Number of words of the longest line."""
        return POSITION_LENGTH + self.n_moves

    def sample(self, n_lines: int, rng: np.random.Generator) -> Lines:
        """Draw lines of the games that are not kept for measuring, with replacement.

        Args:
            n_lines (`int`): How many.
            rng (`np.random.Generator`): Source of the draws.

        Raises:
            DataError: The file is missing, broken, too short, or holds moves that the rules forbid.
        """
        return self._table.rows(rng.integers(self._n_train_lines, size=n_lines))

    def content_version(self) -> str:
        """Hash of the file, and the version of this module."""
        return f"{content_version(self.path)}-{VERSION}"

    def measure(self, predict: Predict) -> dict[str, float]:
        """Predict the moves of the games kept for measuring.

        Args:
            predict (`Predict`): Gives the logits `(P, V)` of the tokens to predict in lines.

        Returns:
            `dict[str, float]`: `accuracy_first_move` (share of the lines whose first move after the position is the
            likeliest word), `accuracy_moves` (the same over all moves) and `heldout_loss` (nats a move).
        """
        hits, firsts, losses = [], [], []
        for start in range(self._n_train_lines, len(self._table.ids_NT), _MEASURED_AT_ONCE):
            chosen = np.arange(start, min(start + _MEASURED_AT_ONCE, len(self._table.ids_NT)))
            lines = self._table.rows(chosen)
            logits_PV, targets_P = predict(lines), lines.ids_NT[lines.predict_NT]
            hits.append(logits_PV.argmax(axis=1) == targets_P)
            # Of each token to predict its column, beside that of the first move of its row: where they are equal it is
            # that move.
            firsts.append(np.nonzero(lines.predict_NT)[1] == np.repeat(self._table.first_N[chosen], _counts(lines)))
            losses.append(_nats(logits_PV, targets_P))
        hit_P, first_P = np.concatenate(hits), np.concatenate(firsts)
        return {
            "accuracy_first_move": float(hit_P[first_P].mean()),
            "accuracy_moves": float(hit_P.mean()),
            "heldout_loss": float(np.concatenate(losses).mean()),
        }

    @cached_property
    def _table(self) -> _Table:
        # An odd number, the largest that leaves no move out: so lines begin with White to move and with Black, in turn.
        step = self.start_every or self.n_moves - (self.n_moves + 1) % 2
        # Ids are places in the vocabulary: with other words the table is another.
        key = content_hash(self.content_version(), self.n_moves, step, self.n_games, self.words)
        kept = cache_folder() / "corpora" / f"chess_games-{key}.npz"
        if not kept.exists():
            write_arrays(kept, self._build(step)._asdict())
        with np.load(kept) as arrays:
            table = _Table(**arrays)
        if self.n_heldout > table.game_N[-1]:
            raise DataError(
                f"{self.path}: holds {table.game_N[-1] + 1} games, of which n_heldout {self.n_heldout} are kept for "
                "measuring; give more games or a smaller n_heldout"
            )
        return table

    @cached_property
    def _n_train_lines(self) -> int:
        game_N = self._table.game_N
        # Whole games are kept back, for lines of one game are much alike.
        return int(np.searchsorted(game_N, game_N[-1] + 1 - self.n_heldout))

    def _build(self, step: int) -> _Table:
        ids = {word: position for position, word in enumerate(self.words)}
        # Parsed once: a file has the same two thousand moves millions of times.
        moves = {word: chess.Move.from_uci(word) for word in move_vocabulary()}
        # Numbers of two bytes: lists of a large file's words would not fit in memory.
        flat, first, game_of, problems, game = array("h"), array("h"), array("i"), list[str](), -1
        for game, (location, text) in enumerate(_games(resolve_path(self.path), self.n_games)):
            words = text.split()
            try:
                positions = _positions(words, moves, step)
            except DataError as error:
                # Read on, so that one error names all games that cannot be played.
                problems.append(f"{location}: {error}")
                continue
            # The same steps as in `_positions`, so that each position meets the moves after it.
            for start, position in zip(range(0, len(words), step), positions, strict=True):
                line = [ids[word] for word in (*position.split(), *words[start : start + self.n_moves])]
                flat.extend(line + [0] * (self.line_length - len(line)))
                first.append(len(line) - len(words[start : start + self.n_moves]))
                game_of.append(game)
        if problems:
            raise DataError(join_problems("these games cannot be played by the rules; mend or drop them:", problems))
        if game < 0:
            raise DataError(f"{self.path}: holds no games")
        ids_NT = np.array(flat, dtype=np.int16).reshape(-1, self.line_length)
        return _Table(ids_NT, np.array(first, dtype=np.int16), np.array(game_of, dtype=np.int32))


def _games(path: str, n_games: int | None) -> Iterator[tuple[str, str]]:
    """Each game with its place in the file."""
    count = 0
    try:
        with gzip.open(path, "rt", encoding="ascii") if path.endswith(".gz") else open(path, encoding="ascii") as file:
            for number, text in enumerate(file, start=1):
                if count == n_games:
                    return
                if text.strip():
                    count += 1
                    yield f"{path}:{number}", text
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read to its end ({error}); give one game a line in UCI notation") from error


def _positions(words: list[str], moves: dict[str, chess.Move], step: int) -> list[str]:
    """Play a game; the position before every `step`-th half-move."""
    board, positions = chess.Board(), []
    for ply, word in enumerate(words):
        if ply % step == 0:
            positions.append(piece_words(board))
        move = moves.get(word)
        if move is None:
            raise DataError(f"half-move {ply + 1}, {word!r}, is not a move in UCI notation such as e2e4 or e7e8q")
        if not board.is_legal(move):
            raise DataError(f"half-move {ply + 1}, {word}, is illegal in {board.fen()}")
        board.push(move)
    return positions


def _counts(lines: Lines) -> NDArray[np.int64]:
    return lines.predict_NT.sum(axis=1)


def _nats(logits_PV: NDArray[np.float32], targets_P: NDArray[np.int64]) -> NDArray[np.float32]:
    # The largest logit becomes 0, so that no exponential overflows.
    shifted_PV = logits_PV - logits_PV.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted_PV).sum(axis=1)) - shifted_PV[np.arange(len(targets_P)), targets_P]
