"""Lines of real games: the position before the moves, checked move by move with python-chess."""

import gzip
from dataclasses import replace

import chess
import numpy as np
import pytest

from w2s_rm.corpora.chess_games import ChessGames
from w2s_rm.data.positions import piece_words
from w2s_rm.errors import ConfigError, DataError

GAMES = [
    "e2e4 e7e5 g1f3 b8c6 f1b5 a7a6 b5a4 g8f6 e1g1",
    "d2d4 g8f6 c2c4 e7e6 g1f3 d7d5",
    "e2e4 g8h6 e4e5 d7d5 e5d6 h6g8 d6c7 g8h6 c7b8q",
    "f2f3 e7e5 g2g4 d8h4",
]


def texts(corpus, n_lines=400):
    """The different lines, each as position and moves."""
    drawn = corpus.sample(n_lines, np.random.default_rng(0))
    found = set()
    for ids_T, predict_T in zip(drawn.ids_NT, drawn.predict_NT, strict=True):
        words = [corpus.words[word] for word in ids_T if corpus.words[word] != "<pad>"]
        first = int(np.argmax(predict_T))
        assert predict_T.tolist() == [first <= t < len(words) for t in range(len(predict_T))]
        found.add((" ".join(words[:first]), " ".join(words[first:])))
    return found


def expected(games, n_moves, step):
    found = set()
    for game in games:
        board, moves = chess.Board(), game.split()
        for ply, move in enumerate(moves):
            if ply % step == 0:
                found.add((piece_words(board), " ".join(moves[ply : ply + n_moves])))
            board.push_uci(move)
    return found


@pytest.mark.parametrize(("n_moves", "step"), [(3, 3), (4, 1), (2, 5)])
def test_a_line_is_a_position_and_the_moves_that_followed(games, n_moves, step):
    corpus = ChessGames(str(games), n_moves=n_moves, start_every=step, n_heldout=1)
    assert texts(corpus) == expected(GAMES[:3], n_moves, step)


def test_reads_as_documented(games):
    lines = texts(ChessGames(str(games), n_moves=2, start_every=4, n_heldout=1))
    en_passant = [line for line in lines if " d6 : " in line[0]]
    assert [moves for _, moves in en_passant] == ["e5d6 h6g8"]
    assert en_passant[0][0].startswith("w KQkq d6 : Ke1 Qd1")


@pytest.mark.parametrize(("n_moves", "step"), [(1, 1), (3, 3), (4, 3), (16, 15)])
def test_by_default_every_move_occurs_and_both_sides_begin(games, n_moves, step):
    corpus = ChessGames(str(games), n_moves=n_moves, n_heldout=1)
    assert texts(corpus) == expected(GAMES[:3], n_moves, step)


def test_n_games_are_read_and_the_last_are_kept(games):
    corpus = ChessGames(str(games), n_moves=9, n_games=3, n_heldout=2)
    assert texts(corpus) == expected(GAMES[:1], 9, 9)


def test_measures_on_the_games_that_are_kept(games):
    corpus = ChessGames(str(games), n_moves=2, start_every=2, n_heldout=1)
    asked = []

    def predict(lines):
        # Sure of Black's e7e5 and unsure of all else: right in the first line's second move, of four moves in all.
        logits = np.zeros((4, len(corpus.words)), dtype=np.float32)
        logits[:, corpus.words.index("e7e5")] = np.log(len(corpus.words) - 1)
        asked.append([corpus.words[word] for word in lines.targets_P])
        return logits

    figures = corpus.measure(predict)
    assert asked == [["f2f3", "e7e5", "g2g4", "d8h4"]]
    assert figures["accuracy_moves"] == 0.25 and figures["accuracy_first_move"] == 0.0
    # e7e5 has probability 1/2, each other word 1 / (2 (V - 1)).
    rest = np.log(2 * (len(corpus.words) - 1))
    assert figures["heldout_loss"] == pytest.approx((np.log(2) + 3 * rest) / 4, rel=1e-5)


def test_first_moves_are_told_from_later_ones(games):
    corpus = ChessGames(str(games), n_moves=2, start_every=2, n_heldout=1)

    def predict(lines):
        logits = np.zeros((4, len(corpus.words)), dtype=np.float32)
        logits[:, corpus.words.index("g2g4")] = 1
        return logits

    assert corpus.measure(predict)["accuracy_first_move"] == 0.5


def test_all_games_that_break_the_rules_are_named(tmp_path, cache):
    path = tmp_path / "bad.txt"
    path.write_text(f"{GAMES[0]}\ne2e4 e7e5 e4e5\n\ne2e4 hello\n{GAMES[3]} e1f2\n")
    with pytest.raises(DataError) as error:
        ChessGames(str(path), n_heldout=1).sample(1, np.random.default_rng(0))
    lines = str(error.value).splitlines()
    assert lines[1].startswith(f"  - {path}:2: half-move 3, e4e5, is illegal in rnbqkbnr/pppp1ppp/8/4p3/4P3/8/PPPP1PPP")
    assert lines[2].startswith(f"  - {path}:4: half-move 2, 'hello', is not a move in UCI notation")
    assert lines[3].startswith(f"  - {path}:5: half-move 5, e1f2, is illegal")
    assert len(lines) == 4 and not list(cache.rglob("*.npz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no games"),
        (gzip.compress(b"e2e4 e7e5\n" * 100, mtime=0)[:-12], "cannot be read to its end"),
        (b"not gzip", "cannot be read to its end"),
        (gzip.compress(b"e2e4 e7e5\n", mtime=0), "holds 1 games, of which n_heldout 500"),
    ],
)
def test_a_broken_or_short_file_is_named(tmp_path, cache, content, message):
    path = tmp_path / "games.txt.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as error:
        ChessGames(str(path)).sample(1, np.random.default_rng(0))
    assert str(path) in str(error.value)


def test_a_missing_file_is_an_error_before_training(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        ChessGames(str(tmp_path / "games.txt")).content_version()


def test_all_wrong_options_are_named():
    with pytest.raises(ConfigError, match=r"(?s)n_moves is 0: .*start_every is -1: .*n_games is 500: set at least 501"):
        ChessGames("games.txt", n_moves=0, start_every=-1, n_games=500)


def built(monkeypatch):
    """Count how often a file is read."""
    calls = []
    build = ChessGames._build
    monkeypatch.setattr(ChessGames, "_build", lambda self, step: calls.append(step) or build(self, step))
    return calls


def test_lines_are_built_once_for_a_content(games, cache, monkeypatch):
    calls, corpus = built(monkeypatch), ChessGames(str(games), n_moves=3, n_heldout=1)
    first = corpus.sample(50, np.random.default_rng(0))
    again = replace(corpus).sample(50, np.random.default_rng(0))
    assert calls == [3] and np.array_equal(first.ids_NT, again.ids_NT)
    # Which games are kept for measuring is no matter of the lines.
    replace(corpus, n_heldout=2).sample(1, np.random.default_rng(0))
    assert len(calls) == 1
    assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".npz"]


def test_another_content_or_option_builds_other_lines(games, cache, monkeypatch):
    calls, corpus = built(monkeypatch), ChessGames(str(games), n_moves=3, n_heldout=1)
    texts(corpus)
    texts(replace(corpus, n_moves=2))
    version = corpus.content_version()
    games.write_bytes(gzip.compress("\n".join(GAMES[1:]).encode(), mtime=0))
    assert texts(replace(corpus)) == expected(GAMES[1:3], 3, 3)
    assert len(calls) == 3 and corpus.content_version() != version
