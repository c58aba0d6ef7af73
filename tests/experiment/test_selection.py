"""A task and thresholds from words of the command line."""

import pytest

from w2s_rm.checks.result import Thresholds
from w2s_rm.data.splits import SplitSizes
from w2s_rm.errors import ConfigError, UnknownNameError
from w2s_rm.experiment.selection import is_recipe, parse_thresholds, select_task
from w2s_rm.tasks.preference import Preference


def test_recipe_or_task(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe").touch()
    assert [is_recipe(name) for name in ("a.yaml", "b.yml", "recipe", "recipes/x")] == [True] * 4
    assert not is_recipe("preference")


def test_options_and_sizes():
    task, sizes = select_task("preference", ["path=x.jsonl", "split=train", "n_train=20", "n_test=null"])
    assert task == Preference("x.jsonl", split="train")
    assert sizes == SplitSizes(n_train=20)


def test_a_draw_by_seed_is_that_of_the_first_where_there_are_no_seeds():
    drawn = {
        text: select_task("preference", ["path=x.jsonl", f"draw={text}"])[1].draw for text in ("by_seed", "0", "7")
    }
    assert drawn == {"by_seed": 0, "0": 0, "7": 7}
    with pytest.raises(ConfigError, match="draw: .*'sometimes'.* use a whole number, or by_seed"):
        select_task("preference", ["path=x.jsonl", "draw=sometimes"])


@pytest.mark.parametrize("given", [["mate_in_one", "n_examples=300"], ["text_classification", "path=x.jsonl"]])
def test_options_with_defaults_are_not_asked_for(given):
    task, _ = select_task(given[0], given[1:])
    assert task.setting in ("chess", "classification")


def test_all_mistakes_at_once():
    with pytest.raises(ConfigError) as caught:
        select_task("preference", ["pth=x", "n_train=many", "foo", "=1"])
    message = str(caught.value)
    for text in (
        "'foo' is no option: write key=value",
        "'=1' is no option",
        "pth: unknown option of task preference; did you mean 'path'?",
        "n_train: 'many' is no int",
        "path: is missing; task preference needs it",
    ):
        assert text in message


def test_wrong_values():
    with pytest.raises(ConfigError, match="n_test: is 0; use at least 1"):
        select_task("preference", ["path=x", "n_test=0"])
    with pytest.raises(ConfigError, match="belong together"):
        select_task("preference", ["path=x", "response_a_column=a"])
    with pytest.raises(UnknownNameError, match="did you mean 'preference'"):
        select_task("preferences", [])


def test_thresholds():
    assert parse_thresholds([]) == Thresholds()
    assert parse_thresholds(["length_only=0.1", "balance=1"]) == Thresholds(length_only=0.1, balance=1)
    with pytest.raises(ConfigError) as caught:
        parse_thresholds(["lenght_only=0.1", "balance=much", "x"])
    for text in ("did you mean 'length_only'?", "balance: 'much' is no float", "'x' is no option"):
        assert text in str(caught.value)
    with pytest.raises(ConfigError, match="balance: is 2; use a share from 0 to 1"):
        parse_thresholds(["balance=2"])
