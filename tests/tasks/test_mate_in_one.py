"""Generated mates in one: real rules, one right answer, the same positions whoever asks."""

import itertools

import chess
import pytest

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.tasks.mate_in_one import MateInOne
from w2s_rm.types import Row

ROW = {"fen": "8/7R/8/8/8/1K6/8/k7 w - - 0 1", "mate": "h7h1", "group": "R-1"}


def example(values=ROW, **options):
    return MateInOne(**options).to_example(Row("here", values))


def test_by_hand():
    one = example()
    assert one.prompt == "w - - : Kb3 Rh7 ka1"
    assert one.candidates[one.gold] == " Rh1"
    # Six king moves (a2, b2 and c2... those beside the black king but c2 are forbidden) and fourteen of the rook.
    assert len(one.candidates) == 6 + 14


def test_prompt_and_notation_are_options():
    one = example(prompt="fen", notation="uci")
    assert one.prompt == ROW["fen"] and one.candidates[one.gold] == " h7h1"
    assert one.group == example().group and one.id != example().id


def test_every_row_has_one_mate_among_all_legal_moves():
    task = MateInOne(n_examples=100, pieces=["Q", "R"])
    for row in task.rows():
        one, board = task.to_example(row), chess.Board(row.values["fen"])
        mates = []
        for move in list(board.legal_moves):
            board.push(move)
            mates += [move] if board.is_checkmate() else []
            board.pop()
        assert [" " + board.san(move).rstrip("#") for move in mates] == [one.candidates[one.gold]]
        assert len(one.candidates) == board.legal_moves.count()
        assert not any(sign in candidate for candidate in one.candidates for sign in "+#")


def test_order_is_random_the_same_and_a_prefix():
    rows = [row.values["fen"] for row in MateInOne(pieces=["R"]).rows()]
    assert len(set(rows)) == len(rows) > 500
    assert [row.values["fen"] for row in MateInOne(pieces=["R"], n_examples=20).rows()] == rows[:20]
    assert rows != sorted(rows)
    assert rows != [row.values["fen"] for row in MateInOne(pieces=["R"], seed=1).rows()]


def test_mirrored_positions_are_one_group():
    task = MateInOne(pieces=["R"])
    groups = {}
    for row in task.rows():
        board = chess.Board(row.values["fen"])
        copies = [board.transform(flip) for flip in (chess.flip_horizontal, chess.flip_vertical, chess.flip_diagonal)]
        groups[board.board_fen()] = task.to_example(row).group
        for copy in copies:
            assert groups.get(copy.board_fen(), groups[board.board_fen()]) == groups[board.board_fen()]
    sizes = [len(list(same)) for _, same in itertools.groupby(sorted(groups.values()))]
    assert max(sizes) == 8 and len(sizes) < len(groups) / 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fen": "rubbish"}, "here: FEN 'rubbish' does not parse"),
        ({"mate": "h7g8"}, "here: mate: ply 1, h7g8, is illegal"),
        ({"mate": "h7a7"}, "here: mate: h7a7 does not mate"),
    ],
)
def test_what_is_no_mate_is_named(change, message):
    with pytest.raises(DataError, match=message):
        example({**ROW, **change})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "moves"}, "prompt is 'moves'"),
        ({"notation": "lan"}, "notation is 'lan'; did you mean 'san'"),
        ({"n_examples": 0}, "n_examples is 0"),
        ({"pieces": ["K"]}, "'K' is not among"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ConfigError, match=message):
        MateInOne(**options)


def test_more_examples_than_positions():
    with pytest.raises(ConfigError, match="n_examples is 5000, the world has 7.. positions: set fewer"):
        next(MateInOne(pieces=["R"], n_examples=5000).rows())
