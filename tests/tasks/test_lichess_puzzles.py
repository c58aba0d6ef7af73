"""Puzzles become positions with all their legal moves; what is no puzzle is refused with its place and id."""

import csv
import gzip
import random

import chess
import pytest

from w2s_rm.errors import ConfigError, DataError
from w2s_rm.programs.prepare import read_task
from w2s_rm.tasks.lichess_puzzles import LichessPuzzles, _start
from w2s_rm.types import Row

HEADER = ["PuzzleId", "FEN", "Moves", "Rating", "Themes"]
# White's rook leaves the back rank; Black's rook then mates there.
MATE = {
    "PuzzleId": "mate1",
    "FEN": "r5k1/5ppp/8/8/8/8/5PPP/3R2K1 w - - 0 1",
    "Moves": "d1d7 a8a1 d7d1 a1d1",
    "Rating": "582.0",
    "Themes": "endgame mateIn2",
}
# The queen checks from b7 and covers all squares about a8: the king can only take it.
FORCED = {"PuzzleId": "only1", "FEN": "k7/8/8/8/8/8/1Q6/7K w - - 0 1", "Moves": "b2b7 a8b7", "Rating": "900"}
GAME = ["e2e4", "e7e5", "g1f3", "b8c6", "f1c4"]


def example(values=MATE, **options):
    return LichessPuzzles("puzzles.csv", **options).to_example(Row("puzzles.csv:7", values))


def write(path, *rows):
    with gzip.open(path, "wt", newline="") as file:
        table = csv.DictWriter(file, HEADER, restval="", extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
    return str(path)


def ids(path, **options):
    return [row.values["PuzzleId"] for row in LichessPuzzles(path, **options).rows()]


def test_the_solvers_first_move_is_the_target():
    one = example()
    assert one.prompt == "r5k1/3R1ppp/8/8/8/8/5PPP/6K1 b - - 1 1"
    assert one.candidates[one.gold] == " a8a1"
    # Rook: a1-a7 and b8-f8; king: f8, h8 (g7, f7, h7 are pawns); pawns f, g, h: one or two squares each.
    assert len(one.candidates) == 7 + 5 + 2 + 6
    assert list(one.candidates) == sorted(one.candidates)


def test_candidates_are_all_legal_moves_with_castling_en_passant_and_promotions():
    values = {"PuzzleId": "x", "FEN": "r3k2r/8/8/8/3p4/8/p1P5/4K3 w kq - 0 1", "Moves": "c2c4 d4c3"}
    one = example(values)
    assert one.candidates[one.gold] == " d4c3"
    assert {" e8g8", " e8c8", " a2a1q", " a2a1n", " d4d3"} <= set(one.candidates)
    board = chess.Board(one.prompt)
    assert {move.uci() for move in board.legal_moves} == {candidate[1:] for candidate in one.candidates}


def test_san():
    one = example(notation="san")
    assert one.candidates[one.gold] == " Ra1"
    assert len(set(one.candidates)) == 20
    assert one.prompt == example().prompt and one.id != example().id and one.group == example().group


def test_prompt_as_pieces():
    one = example(prompt="pieces")
    assert one.prompt == "b - - : Kg1 Rd7 Pf2 Pg2 Ph2 kg8 ra8 pf7 pg7 ph7"
    assert one.group == example().group and one.id != example().id


def test_prompt_as_moves():
    board = chess.Board()
    for move in GAME[:-1]:
        board.push_uci(move)
    values = {"PuzzleId": "g", "FEN": board.fen(), "Moves": "f1c4 g8f6", "game": " ".join(GAME[:-1])}
    one = example(values, prompt="moves", moves_column="game")
    assert one.prompt == "e2e4 e7e5 g1f3 b8c6 f1c4"
    assert one.candidates[one.gold] == " g8f6"
    for game, message in (
        ("e2e4 e7e5", "'game' leads to .* not to the FEN's"),
        ("e2e4 e7e4", "game: ply 2, e7e4, is illegal"),
        ("", "'game' leads to"),
        (None, "'game' leads to"),
    ):
        with pytest.raises(DataError, match=message):
            example({**values, "game": game}, prompt="moves", moves_column="game")


def test_same_position_is_one_group_and_another_target_the_same_id():
    other = {**MATE, "PuzzleId": "mate2", "FEN": MATE["FEN"].replace("0 1", "5 30"), "Moves": "d1d7 a8b8"}
    assert example(other).group == example().group and example(other).id != example().id
    assert example({**MATE, "Moves": "d1d7 a8b8"}).id == example().id
    assert example({**MATE, "Moves": "d1d6 a8a1"}).group != example().group


def test_moves_and_themes_may_be_lists(tmp_path):
    assert example({**MATE, "Moves": MATE["Moves"].split()}) == example()
    task = LichessPuzzles("x", themes=["mateIn2"])
    assert task._why_left_out(Row("x:1", {**MATE, "Themes": ["endgame", "mateIn2"]})) is None
    assert task._why_left_out(Row("x:1", {**MATE, "Themes": ["endgame"]})) == "of other themes"


def test_ranges_filter_and_tell(tmp_path, caplog):
    rows = [
        {**MATE, "PuzzleId": "low", "Rating": "700"},
        {**MATE, "PuzzleId": "high", "Rating": "1500.0", "Themes": "fork"},
        {**MATE, "PuzzleId": "none", "Rating": ""},
        FORCED,
    ]
    path = write(tmp_path / "puzzles.csv.gz", *rows)
    assert ids(path) == ["low", "high", "none"]
    assert ids(path, min_rating=700) == ["low", "high"]
    assert ids(path, max_rating=700) == ["low"]
    assert ids(path, themes=["fork", "pin"]) == ["high"]
    caplog.clear()
    assert ids(path, min_rating=701) == ["high"]
    for reason in ("outside the ratings", "without a rating", "with one legal move"):
        assert f"left out 1 rows {reason}" in caplog.text
    with pytest.raises(DataError, match="no row is left .4 of other themes.; choose"):
        ids(path, themes=["zugzwang"])


def test_faulty_rows_are_kept_so_that_all_are_named(tmp_path):
    rows = [{**MATE, "FEN": "rubbish"}, {**MATE, "Moves": "d1d7 a8a9"}, {**MATE, "Rating": "high"}, MATE]
    path = write(tmp_path / "puzzles.csv.gz", *rows)
    task = LichessPuzzles(path, min_rating=100)
    problems = []
    for row in task.rows():
        try:
            task.to_example(row)
        except DataError as error:
            problems.append(str(error).removeprefix(path))
    assert [problem.split(": ")[:2] for problem in problems] == [[f":{line}", "puzzle mate1"] for line in (2, 3, 4)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"FEN": "8/8/8"}, "FEN '8/8/8' does not parse"),
        ({"FEN": None}, "FEN None does not parse"),
        ({"FEN": ["8/8"]}, r"FEN \['8/8'\] does not parse"),
        ({"FEN": "8/8/8/8/8/8/8/K7 w - - 0 1"}, r"is no legal position \(.*NO_BLACK_KING"),
        ({"Moves": "d1d7"}, "Moves is 'd1d7': needs the opponent's move and the solver's"),
        ({"Moves": ""}, "Moves is '': needs"),
        ({"Moves": None}, "Moves is None: needs"),
        ({"Moves": "d1e2 a8a1"}, "Moves: ply 1, d1e2, is illegal in r5k1/5ppp"),
        ({"Moves": "d1d7 a8a1 d7d2"}, "Moves: ply 3, d7d2, is illegal in 6k1/3R1ppp"),
        ({"Moves": "d1d7 a8b7"}, "Moves: ply 2, a8b7, is illegal in r5k1/3R1ppp"),
        ({"Moves": "d1d7 0000"}, "Moves: ply 2, 0000, is illegal"),
        ({"Moves": "Rd7 Ra1+"}, "Moves: ply 1, 'Rd7', is no move in UCI notation"),
        ({"Rating": "strong"}, "Rating is 'strong', not a number"),
        (FORCED, "k7/1Q6/.* has one legal move: nothing to choose"),
        # The opponent mates: there is no target.
        ({"FEN": "6k1/5ppp/8/8/8/8/8/R5K1 w - - 0 1", "Moves": "a1a8 g8f8"}, "Moves: ply 2, g8f8, is illegal"),
    ],
)
def test_what_is_no_puzzle_is_named(change, message):
    values = {**MATE, **change}
    with pytest.raises(DataError, match=rf"^puzzles.csv:7: puzzle {values['PuzzleId']}: .*{message}"):
        example(values, min_rating=0)


def test_other_columns_are_named(tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("id,fen,line\n1,x,y\n")
    with pytest.raises(DataError, match=r"other.csv:2: no column 'FEN'.*no column 'PuzzleId'.*columns there are: id"):
        next(LichessPuzzles(str(path)).rows())
    path.write_text(",".join(HEADER[:3]) + "\n" + ",".join([MATE[name] for name in HEADER[:3]]) + "\n")
    assert ids(str(path)) == ["mate1"]
    with pytest.raises(DataError, match="no column 'Rating' .option min_rating.*no column 'Themes' .option themes"):
        ids(str(path), max_rating=3, themes=["mate"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompt": "fenn"}, "prompt is 'fenn'; did you mean 'fen'"),
        ({"notation": "lan"}, "notation is 'lan'; did you mean 'san'"),
        ({"prompt": "moves"}, "belong together"),
        ({"moves_column": "game"}, "belong together"),
        ({"min_rating": 2000, "max_rating": 1000}, "min_rating 2000 is above max_rating 1000"),
        ({"themes": []}, "themes is empty"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ConfigError, match=message):
        LichessPuzzles(**options)


def test_each_puzzle_is_set_up_once(tmp_path):
    path = write(tmp_path / "puzzles.csv.gz", MATE, FORCED, {**MATE, "FEN": MATE["FEN"].replace("0 1", "5 30")})
    _start.cache_clear()
    assert len(read_task(LichessPuzzles(path), "puzzles").examples) == 2
    assert (_start.cache_info().hits, _start.cache_info().misses) == (2, 3)


def test_castling_is_found_in_both_ways_to_write_it():
    values = {"PuzzleId": "x", "FEN": "r3k2r/8/8/8/8/8/2P5/4K3 w kq - 0 1", "Moves": "c2c4 e8h8"}
    one = example(values)
    assert one.candidates[one.gold] == " e8g8" and " e8h8" not in one.candidates


def test_gold_says_nothing_about_its_place():
    # With candidates in sorted order each move of a position may be the target.
    moves = [candidate[1:] for candidate in example().candidates]
    drawn = random.Random(0).sample(moves, 5)
    golds = [example({**MATE, "Moves": f"d1d7 {move}"}).gold for move in drawn]
    assert golds == [moves.index(move) for move in drawn]


def test_content_version_follows_file_and_revision(tmp_path):
    path = write(tmp_path / "puzzles.csv.gz", MATE)
    assert LichessPuzzles(path).content_version().startswith("sha256:")
    assert LichessPuzzles(revision="abc").content_version() == "hub:Lichess/chess-puzzles@abc"


def test_reading_stops_after_enough_puzzles_that_are_kept(tmp_path):
    rows = [MATE, FORCED, {**MATE, "PuzzleId": "mate2"}, {**MATE, "PuzzleId": "mate3"}]
    path = write(tmp_path / "puzzles.csv.gz", *rows)
    assert ids(path) == ["mate1", "mate2", "mate3"]
    assert ids(path, n_examples=2) == ["mate1", "mate2"]
    # The manifest of prepare gives these counts.
    assert read_task(LichessPuzzles(path, n_examples=2), "puzzles").left_out == {"with one legal move": 1}
    with pytest.raises(ConfigError, match="n_examples is 0"):
        LichessPuzzles(path, n_examples=0)
