"""Every mistake of a recipe is found, all at once, with its line and the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.recipe import Recipe, load_recipe

GOOD = """\
name: small
task: {name: preference, path: pairs.jsonl, n_train: 8, n_test: 4}
weak:
  model_name_or_path: models/weak
  train: {learning_rate: 1e-4}
strong:
  model_name_or_path: models/strong
  use_peft: true
  lora_r: 8
methods:
  naive: {loss: cross_entropy}
  logconf: {loss: {name: log_confidence, max_weight: 0.5}}
train:
  per_device_train_batch_size: 4
seeds: [0, 1]
"""


def load(folder: Path, text: str = GOOD, *overrides: str) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path, overrides)


def problems(folder: Path, text: str = GOOD, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    heading, *lines = str(caught.value).split("\n")
    assert heading == f"{folder / 'recipe.yaml'}: {len(lines)} mistake{'s' if len(lines) > 1 else ''}:"
    return [line.removeprefix("  - ") for line in lines]


def test_good(tmp_path: Path) -> None:
    recipe = load(tmp_path)
    assert (recipe.name, recipe.task_name, recipe.seeds) == ("small", "preference", (0, 1))
    assert recipe.task_options == {"path": "pairs.jsonl"}
    assert recipe.sizes == {"n_train": 8, "n_test": 4}
    assert recipe.weak.train == {"learning_rate": 0.0001}
    assert recipe.strong.options == {"use_peft": True, "lora_r": 8}
    assert recipe.methods["naive"].loss == {"name": "cross_entropy"}
    assert recipe.compare_to == "naive" and load(tmp_path, GOOD, "compare_to=logconf").compare_to == "logconf"
    assert recipe.methods["logconf"].loss == {"name": "log_confidence", "max_weight": 0.5}


def test_defaults(tmp_path: Path) -> None:
    recipe = load(
        tmp_path, "name: x\ntask: {name: preference, path: p}\nweak: {pretrain: {}}\nstrong: {pretrain: {}}\n"
    )
    assert recipe.seeds == (0,)
    assert {name: method.loss for name, method in recipe.methods.items()} == {"naive": {"name": "cross_entropy"}}
    assert recipe.sizes == {} and recipe.train == {} and recipe.accelerate_config is None


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = """\
name: small
task: {name: preference, path: pairs.jsonl, promt_column: q, n_train: many}
weak:
  model_name_or_path: models/weak
  pretrain: {stepz: 3}
strong:
  model_name_or_path: models/strong
  lora_rank: 8
methods:
  logconf: {loss: {name: log_confidence, max_wieght: 0.5, warmup_fraction: half}}
  other: {loss: {name: crossentropy}}
train:
  learning_rat: 1e-4
  num_train_epochs: two
  output_dir: here
seedz: [0]
"""
    assert problems(tmp_path, text) == [
        "line 16: seedz: unknown key; did you mean 'seeds'?",
        "line 2: task.n_train: 'many' is no int",
        "line 2: task.promt_column: unknown option of task preference; did you mean 'prompt_column'?",
        "line 3: weak: give exactly one of model_name_or_path, pretrain, labels, not model_name_or_path and pretrain",
        "line 5: weak.pretrain.stepz: unknown option of pretrain; did you mean 'steps'?",
        "line 8: strong.lora_rank: unknown key; did you mean 'lora_r'?",
        "line 10: methods.logconf.loss.max_wieght: unknown option of loss log_confidence; did you mean 'max_weight'?",
        "line 10: methods.logconf.loss.warmup_fraction: 'half' is no float",
        "line 11: methods.other.loss.name: no loss 'crossentropy'; did you mean 'cross_entropy'?",
        "line 15: train.output_dir: is set by the run's folder",
        "line 13: train.learning_rat: unknown option; did you mean 'learning_rate'?",
        "line 14: train.num_train_epochs: 'two' is no float",
    ]


@pytest.mark.parametrize("name", ["weak", "student", "ceiling", "zero_shot"])
def test_a_method_is_not_called_as_a_model_in_its_role(name: str, tmp_path: Path) -> None:
    """Reports have both in one column."""
    text = f"""\
name: demo
task: {{name: world_preference, n_train: 20, n_test: 20}}
weak: {{model_name_or_path: weak}}
strong: {{model_name_or_path: strong}}
methods:
  {name}: {{loss: cross_entropy}}
"""
    assert problems(tmp_path, text) == [
        f"line 6: methods.{name}: {name} is what reports call a model in its role; give the method another name"
    ]


def test_empty_recipe_says_what_is_missing(tmp_path: Path) -> None:
    assert problems(tmp_path, "task:\nseeds: [0]\n") == [
        "line 1: task: is missing",
        "line 1: weak: is missing",
        "line 1: strong: is missing",
        "line 1: name: is missing; it names the run's folder",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("seeds: [0, 1]", "seeds: []", "line 15: seeds: [] is no list of whole numbers"),
        ("seeds: [0, 1]", "seeds: 3", "line 15: seeds: 3 is no list of whole numbers"),
        ("seeds: [0, 1]", "seeds: [0, -1]", "line 15: seeds: [0, -1] is no list of whole numbers from 0 up"),
        ("seeds: [0, 1]", "seeds: [true]", "line 15: seeds: [True] is no list of whole numbers"),
        ("seeds: [0, 1]", "seeds: [1, 1]", "line 15: seeds: [1, 1] repeats a seed"),
        ("name: small", "name: a/b", "line 1: name: 'a/b' cannot name a run"),
        ("name: small", "name: stages", "line 1: name: 'stages' cannot name a run"),
        ("name: small", "name: 7", "line 1: name: 7 cannot name a run"),
        ("name: preference", "name: preferences", "task.name: no task 'preferences'; did you mean 'preference'?"),
        ("name: preference, ", "", "line 2: task.name: is missing; known: amazon_polarity, "),
        ("path: pairs.jsonl, ", "", "line 2: task.path: is missing; task preference needs it"),
        ("n_train: 8", "n_train: 1", "task.n_train: is 1; use at least 2, or null for all there is"),
        ("n_train: 8", "n_train: 1e4", "task.n_train: 10000.0 is no int"),
        ("n_train: 8", "split: 3", "line 2: task.split: 3 is no str"),
        ("lora_r: 8", "lora_r: true", "line 9: strong.lora_r: True is no int"),
        ("lora_r: 8", "labels: x.csv", "line 9: strong.labels: unknown key"),
        ("lora_r: 8", "learning_rate: 1e-4", "line 9: strong.learning_rate: unknown key; it belongs under train"),
        ("lora_r: 8", "trained: true", "line 9: strong.trained: unknown key"),
        ("lora_r: 8", "accelerate_config: 2", "line 9: strong.accelerate_config: 2 is no text"),
        ("  model_name_or_path: models/weak\n", "", "line 3: weak: give exactly one of model_name_or_path, pretrain, "),
        ("models/weak", "{labels: x}", "line 4: weak.model_name_or_path: {'labels': 'x'} is no text"),
        ("model_name_or_path: models/weak", "pretrain: {steps: null}", "line 4: weak.pretrain.steps: None is no int"),
        (
            "model_name_or_path: models/weak",
            "labels: x\n  trained: true",
            "line 5: weak.trained: is true or false, and",
        ),
        ("naive: {loss: cross_entropy}", "naive:", "line 11: methods.naive.loss.name: is missing; known: "),
        ("naive: {loss: cross_entropy}", "naive: entropy", "line 11: methods.naive: 'entropy' is no mapping"),
        (
            "naive: {loss: cross_entropy}",
            "naive: {los: entropy}",
            "methods.naive.los: unknown key; did you mean 'loss'?",
        ),
        ("_size: 4", "_size: 0", "line 14: train.per_device_train_batch_size: is 0; use 1 or more"),
        ("_size: 4", "_size: '4'", "line 14: train.per_device_train_batch_size: '4' is no int"),
        ("_size: 4", "_size: null", "line 14: train.per_device_train_batch_size: None is no int"),
        ("{learning_rate: 1e-4}", "3", "line 5: weak.train: 3 is no mapping of keys to values"),
        ("{learning_rate: 1e-4}", "{learning_rate: 1e-4x}", "line 5: weak.train.learning_rate: '1e-4x' is no float"),
        (
            "{learning_rate: 1e-4}",
            "{lr_scheduler_kwargs: 1}",
            "line 5: weak.train.lr_scheduler_kwargs: 1 is no dict or str",
        ),
        (
            "{learning_rate: 1e-4}",
            "{use_peft: true}",
            "weak.train.use_peft: unknown option; it belongs under weak or strong",
        ),
        (
            "train:\n",
            "compare_to: niave\ntrain:\n",
            "line 13: compare_to: 'niave' is no method of this recipe; did you",
        ),
        (
            "train:\n",
            "compare_to: 3\ntrain:\n",
            "line 13: compare_to: 3 is no method of this recipe; known: logconf, naive",
        ),
        ("train:\n", "trian:\n", "line 13: trian: unknown key; did you mean 'train'?"),
        ("train:\n", "learning_rate: 1e-4\ntrain:\n", "line 13: learning_rate: unknown key; it belongs under train"),
        ("train:\n", "n_test: 3\ntrain:\n", "line 13: n_test: unknown key; it belongs under task"),
        ("train:\n", "train:\n  zzz: 1\n", "line 14: train.zzz: unknown option; none of the "),
        ("train:\n", "train:\n  seed: 1\n", "line 14: train.seed: is set by seeds"),
        ("train:\n", "train:\n  deepspeed: x\n", "line 14: train.deepspeed: is set by accelerate_config"),
        (
            "train:\n",
            "train:\n  resume_from_checkpoint: x\n",
            "line 14: train.resume_from_checkpoint: is set by nothing",
        ),
        ("train:\n", "train:\n  run_name: x\n", "line 14: train.run_name: is set by name"),
    ],
)
def test_one_mistake(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    assert len(found) == 1
    assert expected in found[0]


def test_no_methods(tmp_path: Path) -> None:
    for empty in ("methods: {}", "methods:"):
        text = GOOD.split("methods:")[0] + empty + "\nseeds: [0]\n"
        assert problems(tmp_path, text) == [
            "line 10: methods: names no method; for example naive: {loss: {name: cross_entropy}}"
        ]


def test_overrides(tmp_path: Path) -> None:
    recipe = load(
        tmp_path, GOOD, "seeds=[7]", "weak.train.learning_rate=2e-4", "methods.logconf=null", "task.n_train=null"
    )
    assert recipe.seeds == (7,)
    assert recipe.weak.train == {"learning_rate": 0.0002}
    assert list(recipe.methods) == ["naive"]
    assert recipe.sizes == {"n_test": 4}
    assert recipe.content["seeds"] == [7]


def test_a_bad_override_stands_on_the_command_line(tmp_path: Path) -> None:
    assert problems(
        tmp_path, GOOD, "train.learning_rat=1", "seeds=[]", "strong={model_name_or_path: x, lora_r: y}"
    ) == [
        "command line: strong.lora_r: 'y' is no int",
        "command line: train.learning_rat: unknown option; did you mean 'learning_rate'?",
        "command line: seeds: [] is no list of whole numbers from 0 up, for example [0, 1, 2]",
    ]


def test_options_of_a_task_are_checked_by_the_task(tmp_path: Path) -> None:
    text = GOOD.replace("path: pairs.jsonl", "path: x, response_a_column: a")
    (found,) = problems(tmp_path, text)
    assert found.startswith("line 2: task: ") and "response_b_column" in found


def test_options_of_an_embedded_model_are_checked_by_the_testbed(tmp_path: Path) -> None:
    text = GOOD.replace("model_name_or_path: models/weak", "pretrain: {hidden_size: 0, steps: 0}")
    assert problems(tmp_path, text) == [
        "line 4: weak.pretrain.hidden_size: is 0: set more than 0",
        "line 4: weak.pretrain.steps: is 0: set more than 0",
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("corpus: {name: fact}", "corpus.name: no corpus 'fact'; did you mean 'facts'?"),
        ("corpus: {}", "corpus.name: is missing; known: "),
        ("corpus: facts", "corpus: 'facts' is no mapping of keys to values"),
        (
            "corpus: {name: facts, n_entity: 9}",
            "corpus.n_entity: unknown option of corpus facts; did you mean 'n_entities'?",
        ),
        ("corpus: {name: facts, n_entities: many}", "corpus.n_entities: 'many' is no int"),
        ("corpus: {name: chess_games}", "corpus.path: is missing; corpus chess_games needs it"),
        ("n_entities: 9", "n_entities: unknown option of pretrain"),
        ("corpus: {name: chess_endgames, skill: 2}", "skill is 2: set a share from 0 to 1"),
    ],
)
def test_one_mistake_in_a_corpus(tmp_path: Path, options: str, expected: str) -> None:
    text = GOOD.replace("model_name_or_path: models/weak", f"pretrain: {{{options}}}")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert "line 4: weak.pretrain" in str(caught.value) and expected in str(caught.value)


def test_a_corpus_and_its_options(tmp_path: Path) -> None:
    text = GOOD.replace(
        "model_name_or_path: models/weak", "pretrain: {corpus: {name: facts, n_entities: 20}, steps: 9}"
    )
    assert load(tmp_path, text).weak.pretrain == {"corpus": {"name": "facts", "n_entities": 20}, "steps": 9}


def test_head(tmp_path: Path) -> None:
    assert load(tmp_path).head is None
    assert load(tmp_path, GOOD + "head: reward\n").head == "reward"
    expected = "line 16: head: 'lm' is no head of setting reward_modeling; known: reward"
    assert problems(tmp_path, GOOD + "head: lm\n") == [expected]
    (found,) = problems(tmp_path, GOOD + "head: rewards\n")
    assert found.endswith("did you mean 'reward'?")
    (found,) = problems(tmp_path, GOOD + "head: 3\n")
    assert "head: 3 is no head" in found
    text = GOOD.replace("name: preference, path: pairs.jsonl", "name: world_classification") + "head: clasification\n"
    assert "did you mean 'classification'?" in problems(tmp_path, text)[0]


def test_sizes_may_be_null(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD.replace("n_train: 8", "n_train: null")).sizes == {"n_test": 4}


def test_how_often_a_cue_agrees_needs_a_cue(recipe_file: Path) -> None:
    with pytest.raises(ConfigError, match="command line: task.cue_agreement: says how often a word goes with .* cue"):
        load_recipe(recipe_file, ["task.cue_agreement=0.7"])
    assert load_recipe(recipe_file, ["task.cue_agreement=0.7", "task.cue=really"]).sizes["cue"] == "really"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("strong.attn_implementation", "[1]"),
        ("strong.attn_implementation", "{a: 1}"),
        ("train.report_to", "3"),
        ("train.report_to", "[[1]]"),
        ("train.optim", "[adamw]"),
    ],
)
def test_a_value_of_another_type_is_refused_by_its_type_alone(recipe_file: Path, key: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file, [f"{key}={value}"])
    assert str(caught.value).count(f"command line: {key}: ") == 1
