"""Lichess puzzles: find the solver's first move among the legal ones."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import chess

from w2s_rm.data.positions import piece_words
from w2s_rm.data.reading import KeptRows, content_version, read_rows, require_columns, resolve_path
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks._chess import (
    Notation,
    check_choice,
    move_example,
    parse_position,
    play,
)
from w2s_rm.types import Example, Row

Prompt = Literal["fen", "pieces", "moves"]


@dataclass(frozen=True)
class LichessPuzzles:
    """Puzzles of `Lichess/chess-puzzles`, or of a file in Lichess's columns, each one position and all its legal moves.

    A puzzle's `FEN` is the position before the opponent's move, the first of `Moves` (UCI, separated by spaces). That
    move is played, and the next is the right one. Only this first move of the solver is asked for, but the whole line
    must be legal. Lichess takes any mating move for right where there are several; here only that of the line is.

    `rows` leaves out the puzzles outside the rating or theme range, with a range of ratings also those without a
    rating, and those whose position has one legal move only, in which there is nothing to choose. How many is logged
    and stands in the manifest of `prepare`.

    Args:
        path (`str`, *optional*, defaults to `"Lichess/chess-puzzles"`): Hub id, file or folder.
        split (`str`, *optional*): Which rows of `path`; by default `train` of a hub dataset, else all.
        revision (`str`, *optional*): Branch, tag or commit of the hub dataset.
        min_rating (`int`, *optional*): Lowest `Rating` (Glicko-2) kept.
        max_rating (`int`, *optional*): Highest `Rating` kept.
        themes (`list[str]`, *optional*): Keep puzzles with any of these `Themes`, such as `mateIn1`.
        n_examples (`int`, *optional*): Stop reading after so many puzzles that are kept; Lichess has millions, in the
            order of their ids.
        prompt (`"fen"`, `"pieces"` or `"moves"`, *optional*, defaults to `"fen"`): The position as FEN, as the words of
            [`piece_words`][w2s_rm.data.positions.piece_words], or as the moves of the game that led to it.
        moves_column (`str`, *optional*): With `prompt: moves`, the column that holds the game from the initial position
            up to `FEN`, in UCI; Lichess's own columns have none. The opponent's move is added.
        notation (`"uci"` or `"san"`, *optional*, defaults to `"uci"`): How the candidates are written; `san`
            without the signs for check and mate.
    """

    path: str = "Lichess/chess-puzzles"
    split: str | None = None
    revision: str | None = None
    min_rating: int | None = None
    max_rating: int | None = None
    themes: list[str] | None = None
    n_examples: int | None = None
    prompt: Prompt = "fen"
    moves_column: str | None = None
    notation: Notation = "uci"

    setting: ClassVar[str] = "chess"
    classes: ClassVar[None] = None
    balanced: ClassVar[bool] = False
    example_row: ClassVar[Mapping[str, Any]] = {
        "PuzzleId": "0008Q",
        "FEN": "8/4R3/1p2P3/p4r2/P6p/1P3Pk1/4K3/8 w - - 1 64",
        "Moves": "e7f7 f5e5 e2f1 e5e6",
    }

    def __post_init__(self) -> None:
        """Check that the options fit each other.

        Raises:
            ConfigError: They do not.
        """
        check_choice("prompt", self.prompt, Prompt)
        check_choice("notation", self.notation, Notation)
        if (self.prompt == "moves") != (self.moves_column is not None):
            raise ConfigError("prompt: moves and moves_column belong together: set both, or neither")
        if self.n_examples is not None and self.n_examples < 1:
            raise ConfigError(f"n_examples is {self.n_examples}; ask for 1 or more, or remove the option")
        if self.themes == []:
            raise ConfigError("themes is empty, so no puzzle would be left; name some, or remove the option")
        low, high = self._ratings
        if low > high:
            raise ConfigError(f"min_rating {low:g} is above max_rating {high:g}; exchange them")

    @property
    def has_ground_truth(self) -> bool:
        """Every puzzle has a solution."""
        return True

    @property
    def columns(self) -> dict[str, str]:
        """The columns a row must have, by the option that needs them."""
        # Keys are what messages call the options, and must differ: three columns come with `path`.
        columns = {"path": "FEN", "path (puzzle)": "PuzzleId", "path (solution)": "Moves"}
        if self._asks_rating:
            columns["min_rating, max_rating"] = "Rating"
        if self.themes is not None:
            columns["themes"] = "Themes"
        if self.moves_column is not None:
            columns["moves_column"] = self.moves_column
        return columns

    def content_version(self) -> str:
        """Return the hash of the file, or the hub id and revision."""
        return content_version(self.path, revision=self.revision)

    def rows(self) -> KeptRows:
        """Read the puzzles that the options ask for.

        Raises:
            DataError: Unreadable, a column is missing, or no puzzle is left.
        """
        is_local = Path(resolve_path(self.path)).exists()
        rows = read_rows(self.path, self.split or (None if is_local else "train"), revision=self.revision)
        # What is missing in all rows is said once.
        first = next(rows)
        require_columns(first, self.columns)
        return KeptRows(self.path, chain([first], rows), self._why_left_out, self.n_examples)

    def to_example(self, row: Row) -> Example:
        """Turn a puzzle into an example.

        Args:
            row (`Row`): One record.

        Raises:
            DataError: The record is no puzzle; names its place, its id, the fault and what to do.
        """
        require_columns(row, self.columns)
        try:
            if self._asks_rating:
                _rating(row.values["Rating"])
            line = _line(row.values["Moves"])
            start, legal = _start(_fen(row.values["FEN"]), line[0])
            # The root is the FEN's own position, before the opponent's move.
            prompt = self._game(row, start.root(), line[0]) if self.prompt == "moves" else None
            fen = start.fen()
            # `rows` leaves these out; a row that came another way is refused.
            if len(legal) == 1:
                raise DataError(f"{fen} has one legal move: nothing to choose; drop the row")
            # A copy, because the board is in the cache.
            # All of the line, though one move of it is asked for: an illegal one shows that position and moves do not
            # belong together.
            play(start.copy(stack=False), line[1:], "Moves", first_ply=2)
            if prompt is None:
                prompt = fen if self.prompt == "fen" else piece_words(start)
            target = chess.Move.from_uci(line[1])
            # The group is the pieces and whose turn it is: counters and castling rights make no other question of a
            # position.
            return move_example(start, legal, target, prompt, self.notation, [fen.split()[0], start.turn])
        except DataError as error:
            raise DataError(f"{row.place}: puzzle {row.values['PuzzleId']}: {error}") from error

    @property
    def _asks_rating(self) -> bool:
        return self.min_rating is not None or self.max_rating is not None

    @property
    def _ratings(self) -> tuple[float, float]:
        low = -math.inf if self.min_rating is None else self.min_rating
        return low, math.inf if self.max_rating is None else self.max_rating

    def _why_left_out(self, row: Row) -> str | None:
        """Why the options do not ask for a puzzle. What is faulty is kept: `to_example` says what is wrong with it."""
        try:
            rating = _rating(row.values.get("Rating")) if self._asks_rating else None
            low, high = self._ratings
            if self._asks_rating and rating is None:
                return "without a rating"
            if rating is not None and not low <= rating <= high:
                return "outside the ratings"
            if self.themes is not None and not set(self.themes) & set(_words(row.values.get("Themes"))):
                return "of other themes"
            _, legal = _start(_fen(row.values.get("FEN")), _line(row.values.get("Moves"))[0])
            return "with one legal move" if len(legal) == 1 else None
        except DataError:
            return None

    def _game(self, row: Row, board: chess.Board, opponents_move: str) -> str:
        """The moves that led to a position and the opponent's move after it."""
        moves = _words(row.values[self.moves_column or ""])
        replayed = chess.Board()
        play(replayed, moves, str(self.moves_column))
        # EPD has no counters of moves, in which files differ from games that are replayed.
        if replayed.epd() != board.epd():
            raise DataError(
                f"{self.moves_column!r} leads to {replayed.epd()}, not to the FEN's {board.epd()}; give the moves from "
                "the initial position to the FEN"
            )
        return " ".join([*moves, opponents_move])


# `to_example` asks for the puzzle that `rows` has just looked at.
@functools.lru_cache(maxsize=1)
def _start(fen: str, opponents_move: str) -> tuple[chess.Board, Sequence[chess.Move]]:
    """The position after the opponent's move, not to be changed, and its legal moves."""
    board = parse_position(fen)
    play(board, [opponents_move], "Moves")
    return board, tuple(board.legal_moves)


def _fen(cell: object) -> str:
    if not isinstance(cell, str):
        raise DataError(f"FEN {cell!r} does not parse (it is no text); mend or drop the row")
    return cell


def _rating(cell: object) -> float | None:
    """The number in a cell, `None` where it is empty."""
    if cell is None or cell == "":
        return None
    try:
        rating = float(str(cell))
    except ValueError as error:
        raise DataError(f"Rating is {cell!r}, not a number; mend it, or leave it empty") from error
    # A data frame writes NaN for an empty cell.
    return None if math.isnan(rating) else rating


def _words(cell: object) -> list[str]:
    """Words of a cell: the CSV separates them by spaces, the hub dataset holds lists."""
    if isinstance(cell, list | tuple):
        return [str(word) for word in cell]
    return cell.split() if isinstance(cell, str) else []


def _line(cell: object) -> list[str]:
    line = _words(cell)
    if len(line) < 2:
        raise DataError(
            f"Moves is {cell!r}: needs the opponent's move and the solver's, in UCI and separated by spaces; mend or "
            "drop the row"
        )
    return line
