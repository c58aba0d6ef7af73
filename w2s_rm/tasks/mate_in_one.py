"""The generated chess task: few-piece endgames in which one legal move mates. No download."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal

import chess
import numpy as np

from w2s_rm.data.reading import require_columns
from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks._chess import Notation, check_choice, move_example, parse_position, play, write_position
from w2s_rm.testbed.endgames import Endgames, Table
from w2s_rm.types import Example, Row, content_hash

Prompt = Literal["fen", "pieces"]
_COLUMNS = {name: name for name in ("fen", "mate", "group")}


@dataclass(frozen=True)
class MateInOne:
    """White mates in one, with a single move of all legal ones.

    Positions are those of [`Endgames`][w2s_rm.testbed.endgames.Endgames] that no corpus with the same `seed` and
    `pieces` tells. Mirrored and turned copies of a position are one group.

    Args:
        seed (`int`, *optional*, defaults to `0`): Of the world; the same as in the models' pretraining.
        pieces (`list[str]`, *optional*, defaults to `["Q", "R", "QR"]`): What White has beside the king, some of
            `Q`, `R`, `QR`; the same as in the models' pretraining. With `Q` and `R` alone there are some
            200 groups.
        n_examples (`int` or `None`, *optional*): How many positions, drawn at random; all of them if `None`.
        prompt (`"pieces"` or `"fen"`, *optional*, defaults to `"pieces"`): The position in the words of
            [`piece_words`][w2s_rm.data.positions.piece_words], which the corpus uses, or as FEN.
        notation (`"san"` or `"uci"`, *optional*, defaults to `"san"`): How moves are written; the corpus uses `san`,
            without the signs for check and mate.

    Raises:
        ConfigError: An option is out of range, or more examples than the world has positions.
    """

    seed: int = 0
    pieces: list[str] = field(default_factory=lambda: ["Q", "R", "QR"])
    n_examples: int | None = None
    prompt: Prompt = "pieces"
    notation: Notation = "san"

    setting: ClassVar[str] = "chess"
    classes: ClassVar[None] = None
    balanced: ClassVar[bool] = False
    example_row: ClassVar[Mapping[str, Any]] = {
        "fen": "8/7R/8/8/8/1K6/8/k7 w - - 0 1",
        "mate": "h7h1",
        "group": "R-1",
    }

    def __post_init__(self) -> None:
        check_choice("prompt", self.prompt, Prompt)
        check_choice("notation", self.notation, Notation)
        if self.n_examples is not None and self.n_examples < 1:
            raise ConfigError(f"n_examples is {self.n_examples}: set 1 or more, or null for all positions")
        # Raises where there is no such world.
        _ = self.world

    @cached_property
    def world(self) -> Endgames:
        """The positions."""
        return Endgames(self.seed, self.pieces)

    @property
    def has_ground_truth(self) -> bool:
        """The mating move is known."""
        return True

    def content_version(self) -> str:
        """Identify the content by the options, from which it is generated."""
        # The number counts versions of the generator: to be raised when the same options come to mean other positions.
        return content_hash("mate_in_one", 1, asdict(self))

    def rows(self) -> Iterator[Row]:
        """Generate the positions, in a random order that depends on `seed` alone.

        Raises:
            ConfigError: The world has fewer than `n_examples`.
        """
        places = [
            (table, row, move)
            for table in self.world.tables
            for row, (move, held) in enumerate(zip(table.only_mate_N.tolist(), table.held_N.tolist(), strict=True))
            # Only what no corpus tells; -1 stands for no mate and for several, of which none would be the one that is
            # right.
            if held and move >= 0
        ]
        if len(places) < (self.n_examples or 1):
            raise ConfigError(
                f"mate_in_one: n_examples is {self.n_examples}, the world has {len(places)} positions: set fewer, or "
                "name more pieces"
            )
        # Mixed: tables come one after the other, and the first `n_examples` would all be of one set of pieces.
        order = np.random.default_rng([self.seed, 4]).permutation(len(places))
        for number, index in enumerate(order[: self.n_examples].tolist()):
            yield Row(f"mate_in_one row {number}", _record(*places[index]))

    def to_example(self, row: Row) -> Example:
        """Turn one record into an example.

        Args:
            row (`Row`): A record as [`rows`] gives them.

        Raises:
            DataError: The position or the move is illegal, or the move does not mate.
        """
        require_columns(row, _COLUMNS)
        fen, mate, group = (row.values[column] for column in _COLUMNS)
        try:
            board = parse_position(fen)
            after = board.copy(stack=False)
            play(after, [mate], "mate")
            if not after.is_checkmate():
                raise DataError(f"mate: {mate} does not mate in {fen}; mend or drop the row")
        except DataError as error:
            raise DataError(f"{row.place}: {error}") from error
        prompt = write_position(board, self.prompt)
        return move_example(board, board.legal_moves, chess.Move.from_uci(mate), prompt, self.notation, group)


def _record(table: Table, row: int, move: int) -> dict[str, str]:
    # Empty, with White to move and without castling, as all positions of this world are.
    board = chess.Board(None)
    squares = table.squares_NP[row].tolist()
    for symbol, square in zip(f"K{table.pieces}k", squares, strict=True):
        board.set_piece_at(square, chess.Piece.from_symbol(symbol))
    mate = chess.Move(squares[table.moves.piece_M[move]], int(table.moves.end_M[move]))
    return {"fen": board.fen(), "mate": mate.uci(), "group": f"{table.pieces}-{table.group_N[row]}"}
