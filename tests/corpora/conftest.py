"""Real openings for the corpus of games, and a cache folder of the test's own."""

import gzip

import pytest

GAMES = [
    "e2e4 e7e5 g1f3 b8c6 f1b5 a7a6 b5a4 g8f6 e1g1",
    "d2d4 g8f6 c2c4 e7e6 g1f3 d7d5",
    # A pawn taken in passing, and one promoted by taking a rook.
    "e2e4 g8h6 e4e5 d7d5 e5d6 h6g8 d6c7 g8h6 c7b8q",
    "f2f3 e7e5 g2g4 d8h4",
]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("W2S_RM_CACHE", str(folder))
    return folder


def write_games(folder):
    path = folder / "games.txt.gz"
    path.write_bytes(gzip.compress("\n".join([*GAMES, ""]).encode(), mtime=0))
    return path


@pytest.fixture
def games(tmp_path, cache):
    return write_games(tmp_path)


@pytest.fixture(scope="module")
def shared_games(tmp_path_factory):
    """The same for all tests of a module, which share the lines that are kept of them."""
    folder = tmp_path_factory.mktemp("games")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("W2S_RM_CACHE", str(folder / "cache"))
        yield write_games(folder)
