"""From a position and the move to find to one example: the legal moves are the candidates. Rules are python-chess's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import chess

from w2s_rm.data.positions import piece_words
from w2s_rm.errors import DataError, OptionError, nearest
from w2s_rm.types import Example, content_hash

Notation = Literal["uci", "san"]


def check_choice(option: str, value: str, choices: object) -> None:
    """Check that an option holds one of the values of a `Literal`.

    Args:
        option (`str`): Its name, for the message.
        value (`str`): What it holds.
        choices (`object`): The `Literal`.

    Raises:
        OptionError: It does not; names the nearest right value.
    """
    known = get_args(choices)
    if value not in known:
        raise OptionError("chess", {option: f"is {value!r}; {nearest(value, known)}"})


def write_position(board: chess.Board, style: str) -> str:
    """Write a position as FEN, or as the words of [`piece_words`][w2s_rm.data.positions.piece_words].

    Args:
        board (`chess.Board`): The position.
        style (`str`): `fen` or `pieces`.
    """
    return board.fen() if style == "fen" else piece_words(board)


def parse_position(fen: object) -> chess.Board:
    """Set up a position.

    Args:
        fen (`object`): The cell that should hold it.

    Raises:
        DataError: It does not parse, or no game could lead to it.
    """
    try:
        board = chess.Board(str(fen))
    except ValueError as error:
        raise DataError(f"FEN {fen!r} does not parse ({error}); mend or drop the row") from error
    # `chess.Board` sets up whatever parses, two white kings too.
    if not board.is_valid():
        raise DataError(f"FEN {fen!r} is no legal position ({board.status()!r}); mend or drop the row")
    return board


def play(board: chess.Board, moves: Sequence[str], column: str, first_ply: int = 1) -> None:
    """Play moves on a board.

    Args:
        board (`chess.Board`): Changed in place.
        moves (`Sequence[str]`): In UCI notation.
        column (`str`): Where they come from, for the message.
        first_ply (`int`, *optional*, defaults to `1`): Number of the first of them, for the message.

    Raises:
        DataError: A move is none or illegal; names its ply.
    """
    for ply, text in enumerate(moves, start=first_ply):
        try:
            move = chess.Move.from_uci(text)
        except ValueError as error:
            problem = f"{column}: ply {ply}, {text!r}, is no move in UCI notation"
            raise DataError(f"{problem}; mend or drop the row") from error
        if not board.is_legal(move):
            raise DataError(f"{column}: ply {ply}, {text}, is illegal in {board.fen()}; mend or drop the row")
        board.push(move)


def move_example(
    board: chess.Board,
    legal: Iterable[chess.Move],
    target: chess.Move,
    prompt: str,
    notation: Notation,
    group: str | Sequence[object],
) -> Example:
    """Ask for the move in a position: all legal moves are candidates, each with a space before it, in sorted order.

    SAN goes without its signs for check and mate, which would tell what is to be found out. The id depends on prompt
    and notation, which together say what the candidates are, and not on the target.

    Args:
        board (`chess.Board`): The position; not changed.
        legal (`Iterable[chess.Move]`): All its legal moves, as the board itself writes them.
        target (`chess.Move`): One of its legal moves.
        prompt (`str`): The position in words.
        notation (`"uci"` or `"san"`): How moves are written.
        group (`str` or `Sequence`): What must stay in one split, in words or as JSON can write it.
    """
    # The move to find may be castling in the other way to write it.
    written = (move.uci() if notation == "uci" else _write(board, move, notation) for move in legal)
    # Sorted: the order in which python-chess generates moves is its own, and no part of a task.
    moves = sorted(written)
    return Example(
        id=content_hash(notation, prompt),
        group=content_hash(group),
        prompt=prompt,
        candidates=tuple(f" {move}" for move in moves),
        gold=moves.index(_write(board, target, notation)),
    )


def _write(board: chess.Board, move: chess.Move, notation: Notation) -> str:
    # `board.uci` and not `move.uci`: it writes castling as the king's two steps, whichever way the move holds it.
    return board.uci(move) if notation == "uci" else board.san(move).rstrip("+#")
