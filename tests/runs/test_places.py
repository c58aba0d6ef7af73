"""Where another stage's results are: as planned, or beside this one where `runs/` was moved."""

from pathlib import Path

from w2s_rm.runs.places import beside


def test_what_was_moved_is_found_beside(tmp_path: Path) -> None:
    here = tmp_path / "moved" / "stages" / "evaluate-1"
    file = here.parent / "prepare-2" / "examples" / "test.parquet"
    file.parent.mkdir(parents=True)
    planned = Path("/gone/runs/stages/prepare-2")
    assert beside(here, planned / "examples" / "test.parquet") == file
    assert beside(here, planned) == here.parent / "prepare-2"


def test_what_is_not_beside_is_where_it_was_planned(tmp_path: Path) -> None:
    planned = Path("/elsewhere/stages/prepare-3/examples/test.parquet")
    assert beside(tmp_path / "stages" / "evaluate-1", planned) == planned
