"""The vectorised rules against python-chess, and what the world promises."""

import chess
import numpy as np
import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.testbed.endgames import CHECK, MATE, PIECES, QUIET, Endgames, draw_positions, group_codes, legal_moves


def board(pieces, squares):
    position = chess.Board(None)
    for symbol, square in zip(f"K{pieces}k", squares, strict=True):
        position.set_piece_at(int(square), chess.Piece.from_symbol(symbol))
    return position


def placed(pieces, text):
    return np.array([[chess.parse_square(square) for square in text.split()]])


def result(position, move):
    position.push(move)
    found = MATE if position.is_checkmate() else CHECK if position.is_check() else QUIET
    position.pop()
    return found


def moves_of(moves, squares_NP, n):
    mine = np.flatnonzero(moves.position_M == n)
    return [(int(squares_NP[n, moves.piece_M[m]]), int(moves.end_M[m]), int(moves.result_M[m])) for m in mine]


@pytest.fixture(autouse=True, scope="module")
def _small_world():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("w2s_rm.testbed.endgames.MOST_POSITIONS", 40_000)
        yield


@pytest.fixture(scope="module")
def tables():
    return {table.pieces: table for table in Endgames(seed=3).tables}


@pytest.mark.parametrize("pieces", PIECES)
def test_moves_and_their_results_are_python_chess_ones(pieces):
    squares_NP = draw_positions(pieces, 600, np.random.default_rng(1))
    moves = legal_moves(pieces, squares_NP)
    assert len(squares_NP) > 150
    seen = set()
    for n, squares in enumerate(squares_NP[:150]):
        position = board(pieces, squares)
        assert position.is_valid()
        expected = [(move.from_square, move.to_square, result(position, move)) for move in position.legal_moves]
        assert sorted(moves_of(moves, squares_NP, n)) == sorted(expected)
        seen |= {found for *_, found in expected}
    assert {QUIET, CHECK} <= seen


@pytest.mark.parametrize("pieces", PIECES)
def test_the_one_mating_move_is_python_chess_one(tables, pieces):
    table = tables[pieces]
    only_N = table.only_mate_N
    rows = np.random.default_rng(0).permutation(np.flatnonzero(only_N >= 0))[:60]
    for row in rows:
        position, move = board(pieces, table.squares_NP[row]), only_N[row]
        assert table.moves.position_M[move] == row
        mates = [move for move in position.legal_moves if result(position, move) == MATE]
        start = table.squares_NP[row, table.moves.piece_M[move]]
        assert mates == [chess.Move(int(start), int(table.moves.end_M[move]))]


@pytest.mark.parametrize("pieces", PIECES)
def test_several_mates_and_none_are_told_apart(tables, pieces):
    table = tables[pieces]
    only_N, counts_NR = table.only_mate_N, table.counts_NR
    without = np.random.default_rng(0).permutation(np.flatnonzero(only_N < 0))[:60]
    for row in without:
        position = board(pieces, table.squares_NP[row])
        mates = sum(result(position, move) == MATE for move in list(position.legal_moves))
        assert mates != 1 and mates == counts_NR[row, MATE]


def test_by_hand():
    # Kb3, Rh7 against ka1: the rook mates on h1, checks on a7, may not pass its own king.
    squares_NP = placed("R", "b3 h7 a1")
    moves = moves_of(legal_moves("R", squares_NP), squares_NP, 0)
    rook = {chess.square_name(end): found for start, end, found in moves if start == chess.H7}
    assert rook.pop("h1") == MATE and rook.pop("a7") == CHECK
    assert set(rook.values()) == {QUIET} and len(rook) == 12
    king = {chess.square_name(end) for start, end, _ in moves if start == chess.B3}
    assert king == {"a3", "c3", "a4", "b4", "c4", "c2"}


def test_pieces_block_each_other_and_the_black_king_hides_nothing_behind_it():
    # The queen's check along the rank is no mate where the king may take; along it, stepping back is no escape.
    squares_NP = placed("Q", "f6 a7 h8")
    moves = dict(((start, end), found) for start, end, found in moves_of(legal_moves("Q", squares_NP), squares_NP, 0))
    assert moves[chess.A7, chess.A8] == CHECK and moves[chess.A7, chess.G7] == MATE
    assert moves[chess.A7, chess.H7] == CHECK


def test_positions_are_different_legal_and_as_promised(tables):
    for table in tables.values():
        assert len(np.unique(table.squares_NP, axis=0)) == len(table.squares_NP)
        king, black = table.squares_NP[:, 0], table.squares_NP[:, -1]
        apart = np.maximum(abs(king % 8 - black % 8), abs(king // 8 - black // 8))
        assert set(apart) == {2, 3}
        assert ((black % 8 % 7 == 0) | (black // 8 % 7 == 0)).all()


def test_single_pieces_are_complete():
    # Every legal placement, counted one by one with python-chess.
    count = 0
    for king, black, rook in np.ndindex(64, 64, 64):
        apart = chess.square_distance(king, black)
        rim = chess.BB_SQUARES[black] & (chess.BB_RANK_1 | chess.BB_RANK_8 | chess.BB_FILE_A | chess.BB_FILE_H)
        if apart not in (2, 3) or not rim or rook in (king, black):
            continue
        position = chess.BaseBoard(None)
        position.set_piece_at(rook, chess.Piece.from_symbol("R"))
        position.set_piece_at(king, chess.Piece.from_symbol("K"))
        count += not position.is_attacked_by(chess.WHITE, black)
    assert len(Endgames(pieces=["R"]).tables[0].squares_NP) == count


def test_a_group_is_the_eight_mirrored_and_turned_copies():
    def mirrored(square):
        return square ^ 7

    def turned(square):
        return 8 * (square % 8) + 7 - square // 8

    squares_NP = draw_positions("QR", 400, np.random.default_rng(5))
    codes_N = group_codes(squares_NP)
    copies = squares_NP
    for _ in range(4):
        copies = turned(copies)
        assert (group_codes(copies) == codes_N).all()
        assert (group_codes(mirrored(copies)) == codes_N).all()
    assert (copies == squares_NP).all()
    swapped = squares_NP[:, [0, 2, 1, 3]]
    assert (group_codes(swapped) != codes_N).all()


def test_half_of_the_groups_are_kept_for_the_task(tables):
    for table in tables.values():
        assert 0.4 < table.held_N.mean() < 0.6
        assert not set(table.group_N[table.held_N]) & set(table.group_N[~table.held_N])
    other = Endgames(seed=4, pieces=["Q"]).tables[0]
    both = Endgames(seed=3, pieces=["Q"]).tables[0]
    assert (both.held_N == tables["Q"].held_N).all() and (both.squares_NP == tables["Q"].squares_NP).all()
    assert set(other.group_N[other.held_N]) != set(both.group_N[both.held_N])


def test_there_are_enough(tables):
    # From a quarter of the usual draws.
    assert sum(((table.only_mate_N >= 0) & table.held_N).sum() for table in tables.values()) > 3_000


def test_moves_are_sorted_by_position_and_result(tables):
    moves = tables["R"].moves
    assert (np.diff(moves.position_M * 3 + moves.result_M) >= 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pieces": ["Q", "N"]}, "'N' is not among Q, R, QR"),
        ({"pieces": []}, "pieces is empty"),
        ({"pieces": ["Q", "Q"]}, "the same ones twice"),
        ({"seed": -1}, "seed is -1: set 0 or more"),
        ({"seed": -1, "pieces": ["X"]}, "'X' is not among(.|\n)*seed is -1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        Endgames(**options)
