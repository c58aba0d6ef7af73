"""What a method may name beside its loss, and the recipe's further models: every mistake with its line, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.recipe import ModelSpec, Recipe, load_recipe

GOOD = """\
name: methods
task: {name: world_preference, n_train: 80, n_test: 40}
weak: {pretrain: {hidden_size: 16}}
models:
  middle: {pretrain: {hidden_size: 24}}
strong: {pretrain: {hidden_size: 32}}
methods:
  rich:
    supervisor:
      name: mixture
      n_true: 8
      supervisor: {name: ensemble, models: [weak, middle]}
    labels:
      - temperature
      - name: keep_confident
        share: 0.5
      - {name: agree, supervisor: {name: simulated, accuracy: 0.8}}
    before: [{name: freeze, layers: 1}, generative]
    loss: {name: log_confidence, max_weight: 0.5}
    rounds: 2
    model: weak
  plain: {supervisor: trained, loss: entropy}
"""


def load(folder: Path, text: str) -> Recipe:
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return load_recipe(folder / "recipe.yaml")


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    heading, *lines = str(caught.value).split("\n")
    assert heading == f"{folder / 'recipe.yaml'}: {len(lines)} mistake{'s' if len(lines) > 1 else ''}:"
    return [line.removeprefix("  - ") for line in lines]


def test_good(tmp_path: Path) -> None:
    recipe = load(tmp_path, GOOD)
    rich, plain = recipe.methods["rich"], recipe.methods["plain"]
    inner = {"name": "ensemble", "models": ["weak", "middle"]}
    assert rich.supervisor == {"name": "mixture", "n_true": 8, "supervisor": inner}
    assert rich.labels == (
        {"name": "temperature"},
        {"name": "keep_confident", "share": 0.5},
        {"name": "agree", "supervisor": {"name": "simulated", "accuracy": 0.8}},
    )
    assert rich.before == ({"name": "freeze", "layers": 1}, {"name": "generative"})
    assert (rich.rounds, rich.model) == (2, "weak")
    assert plain.supervisor == {"name": "trained"} and plain.loss == {"name": "entropy"}
    assert (plain.labels, plain.before, plain.rounds, plain.model) == ((), (), 1, "strong")
    assert recipe.more == {"middle": ModelSpec(pretrain={"hidden_size": 24})}
    assert list(recipe.models()) == ["weak", "middle", "strong"]


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = """\
name: methods
task: {name: world_preference, n_train: 80, n_test: 40}
weak: {pretrain: {hidden_size: 16}}
models:
  middle: {pretrain: {hiden_size: 24}}
  large:
  weak: {pretrain: {}}
strong: {pretrain: {hidden_size: 32}}
methods:
  one:
    supervisor:
      name: mixture
      n_true: 0
      supervisor:
        name: ensemble
        seeds: 1
        how: meen_log_odds
    labels:
      - hardn
      - name: keep_confident
        share: 2
        balance: true
      - name: agree
        supervisor:
          name: simulated
          errors: systematik
    before:
      - {name: freeze, layers: all}
      - {name: generative, trian: {}}
    loss: {name: log_confidence, max_weight: 2, learning_rate: 1}
    rounds: 0
    model: storng
  two:
    supervisr: model
    supervisor: modle
    labels: harden
    before: {name: freeze}
  three: {loss: [entropy], supervisor: 3, labels: [3], rounds: true}
"""
    assert problems(tmp_path, text) == [
        "line 5: models.middle.pretrain.hiden_size: unknown option of pretrain; did you mean 'hidden_size'?",
        "line 6: models.large: is missing; give model_name_or_path or pretrain",
        "line 7: models.weak: is a part of every recipe; give the model another name",
        "line 30: methods.one.loss.learning_rate: unknown option of loss log_confidence; it belongs under train",
        "line 13: methods.one.supervisor.n_true: is 0; use 1 or more",
        "line 16: methods.one.supervisor.supervisor.seeds: gives 1 members; an ensemble has two or more",
        "line 17: methods.one.supervisor.supervisor.how: is 'meen_log_odds'; did you mean 'mean_log_odds'?",
        "line 19: methods.one.labels.0.name: no label transform 'hardn'; did you mean 'harden'?",
        "line 22: methods.one.labels.1.balance: unknown option of label transform keep_confident; "
        "did you mean 'balanced'?",
        "line 24: methods.one.labels.2.supervisor.accuracy: is missing; supervisor simulated needs it",
        "line 28: methods.one.before.0.layers: 'all' is no int",
        "line 29: methods.one.before.1.trian: unknown option of preparation generative; did you mean 'train'?",
        "line 31: methods.one.rounds: 0 is no number of rounds; write a whole number, 1 or more",
        "line 32: methods.one.model: 'storng' is no part of the recipe; did you mean 'strong'?",
        "line 34: methods.two.supervisr: unknown key; did you mean 'supervisor'?",
        "line 35: methods.two.supervisor.name: no supervisor 'modle'; did you mean 'model'?",
        "line 36: methods.two.labels: 'harden' is no list; write [{name: …}, …]",
        "line 37: methods.two.before: {'name': 'freeze'} is no list; write [{name: …}, …]",
        "line 38: methods.three.loss: ['entropy'] is no loss; write its name, or name and options",
        "line 38: methods.three.supervisor: 3 is no supervisor; write its name, or name and options",
        "line 38: methods.three.labels.0: 3 is no label transform; write its name, or name and options",
        "line 38: methods.three.rounds: True is no number of rounds; write a whole number, 1 or more",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("n_true: 8", "n_true: many", "line 11: methods.rich.supervisor.n_true: 'many' is no int"),
        ("n_true: 8", "n_tru: 8", "line 9: methods.rich.supervisor.n_true: is missing; supervisor mixture needs it"),
        ("name: mixture", "nam: mixture", "line 9: methods.rich.supervisor.name: is missing; known: chain, debate"),
        ("models: [weak, middle]", "models: [weak]", "supervisor.models: gives 1 members; an ensemble has two or more"),
        ("models: [weak, middle]", "models: [weak, 3]", "line 12: methods.rich.supervisor.supervisor.models: 3 in ["),
        (
            "models: [weak, middle]",
            "models: [weak, weak]",
            "supervisor.supervisor.models: repeats a model (weak, weak)",
        ),
        ("models: [weak, middle]", "models: weak", "line 12: methods.rich.supervisor.supervisor.models: 'weak' is no"),
        ("models: [weak, middle]", "seeds: 2, folds: 2", "give one of models, seeds and folds, not seeds and folds"),
        ("ensemble, models", "chain, models", "supervisor.models: repeats one in weak -> weak -> middle"),
        ("ensemble, models: [weak, middle]", "chain, models: []", "supervisor.models: is empty; name one or"),
        (
            "{name: ensemble, models: [weak, middle]}",
            "3",
            "rich.supervisor.supervisor: 3 is no mapping of keys to value",
        ),
        ("share: 0.5", "share: 0", "line 16: methods.rich.labels.1.share: is 0; give a number in (0, 1]"),
        (
            "- temperature",
            "- {name: temperature, value: 0}",
            "line 14: methods.rich.labels.0.value: is 0; give a number",
        ),
        ("- temperature", "- {name: balance, prior: [1]}", "line 14: methods.rich.labels.0.prior: is [1]; give each"),
        ("- temperature", "-", "line 14: methods.rich.labels.0: None is no label transform; write its name, or"),
        ("accuracy: 0.8", "accuracy: 8", "line 17: methods.rich.labels.2.supervisor.accuracy: is 8; use a share"),
        ("accuracy: 0.8", "accuracy: 1, feature: length", "supervisor.feature: goes with errors: systematic"),
        ("layers: 1", "layers: -1", "line 18: methods.rich.before.0.layers: is -1; use 0 or more"),
        ("generative]", "generativ]", "line 18: methods.rich.before.1.name: no preparation 'generativ'; did you mean"),
        ("generative]", "{name: generative, train: 3}]", "methods.rich.before.1.train: 3 is no mapping of keys to val"),
        ("max_weight: 0.5", "max_weight: 2", "line 19: methods.rich.loss.max_weight: is 2; give a number in [0, 1]"),
        ("rounds: 2", "rounds: 1.5", "line 20: methods.rich.rounds: 1.5 is no number of rounds"),
        (
            "model: weak",
            "model: middle",
            "line 21: methods.rich.model: 'middle' is no part of the recipe; known: stron",
        ),
        ("loss: entropy}", "los: entropy}", "line 22: methods.plain.los: unknown key; did you mean 'loss'?"),
        ("supervisor: trained", "supervisor: {}", "line 22: methods.plain.supervisor.name: is missing; known: chain"),
        ("middle: {pretrain", "strong: {pretrain", "line 5: models.strong: is a part of every recipe; give the model"),
        (
            "middle: {pretrain: {hidden_size: 24}}",
            "middle: {}",
            "line 5: models.middle: give exactly one of model_name_",
        ),
        ("middle: {pretrain: {hidden_size: 24}}", "middle: {labels: x}", "line 5: models.middle.labels: unknown key"),
        (
            "  middle: {pretrain: {hidden_size: 24}}",
            "  - middle",
            "line 4: models: ['middle'] is no mapping of keys to",
        ),
        (
            "task: {name: world_preference, n_train: 80, n_test: 40}",
            "task: {}",
            "line 2: task.name: is missing; known:",
        ),
    ],
)
def test_one_mistake(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    assert any(expected in line for line in found), found


def test_a_list_item_has_its_own_line(tmp_path: Path) -> None:
    recipe = load(tmp_path, GOOD)
    within = ("methods", "rich", "labels")
    keys = [("0",), ("1",), ("1", "share"), ("2",)]
    assert [recipe.places[(*within, *key)] for key in keys] == ["line 14", "line 15", "line 16", "line 17"]
