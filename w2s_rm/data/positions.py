"""Chess positions as words, one vocabulary for tasks, corpora and tokenizers. Rules are python-chess's. No torch.

    w KQ - : Ke1 Rh1 Pa2 ke8 pa7

Side to move, castling rights, en-passant square, then each piece with its square: capitals are White's, as in FEN.
"""

from __future__ import annotations

import itertools

import chess

START = ":"
CASTLING = tuple("".join(kept) or "-" for n in range(5) for kept in itertools.combinations("KQkq", n))
"""All castling rights as FEN writes them."""


def piece_words(board: chess.Board) -> str:
    """Write a position as words, pieces in a fixed order: kind by kind, from a1 to h8, White's first.

    Args:
        board (`chess.Board`): The position.
    """
    _, side, castling, en_passant, *_ = board.fen().split()
    pieces = [
        piece_word(color, kind, square)
        for color in (chess.WHITE, chess.BLACK)
        # From king to pawn: python-chess numbers kinds from the pawn (1) to the king (6).
        for kind in reversed(chess.PIECE_TYPES)
        for square in board.pieces(kind, color)
    ]
    return " ".join([side, castling, en_passant, START, *pieces])


def piece_word(color: chess.Color, kind: chess.PieceType, square: chess.Square) -> str:
    """Write one piece and its square, such as `Ke1`.

    Args:
        color (`chess.Color`): White or black.
        kind (`chess.PieceType`): Pawn to king.
        square (`chess.Square`): 0 (a1) to 63 (h8).
    """
    return chess.Piece(kind, color).symbol() + chess.square_name(square)


def position_vocabulary() -> tuple[str, ...]:
    """All words of [`piece_words`], each once."""
    squares = [chess.square_name(square) for square in chess.SQUARES]
    pieces = [
        piece_word(color, kind, square)
        for color in chess.COLORS
        for kind in chess.PIECE_TYPES
        for square in chess.SQUARES
    ]
    # A pawn that has just advanced two squares can be taken on the third or the sixth rank only.
    en_passant = [name for name in squares if name[1] in "36"]
    return tuple(dict.fromkeys(["w", "b", *CASTLING, *en_passant, START, *pieces]))


def move_vocabulary() -> tuple[str, ...]:
    """All moves any piece could make on an empty board, in UCI notation: 1,968 with promotions."""
    moves = [
        chess.square_name(start) + chess.square_name(end)
        for start in chess.SQUARES
        for end in chess.SquareSet(_reach(start))
    ]
    return tuple(moves + [move + kind for move in _promoting() for kind in "qrbn"])


def _reach(square: chess.Square) -> int:
    # What any piece reaches, a queen or a knight does.
    board = chess.Board(None)
    board.set_piece_at(square, chess.Piece(chess.QUEEN, chess.WHITE))
    return int(board.attacks(square)) | chess.BB_KNIGHT_ATTACKS[square]


def _promoting() -> list[str]:
    moves = []
    # python-chess counts ranks and files from 0: White promotes from the seventh to the eighth, Black from the second
    # to the first.
    for start_rank, end_rank in ((6, 7), (1, 0)):
        for file in range(8):
            # Straight on, or by taking to the left or right.
            for end in range(max(0, file - 1), min(7, file + 1) + 1):
                moves.append(
                    chess.square_name(chess.square(file, start_rank)) + chess.square_name(chess.square(end, end_rank))
                )
    return moves
