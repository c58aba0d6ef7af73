"""The part `tune:` of a recipe: what is read of it, and what cannot be chosen and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from w2s_rm.errors import ConfigError
from w2s_rm.experiment.recipe import Recipe, load_recipe

GOOD = """\
name: small
task: {name: preference, path: pairs.jsonl, n_train: 8, n_validation: 500, n_test: 4}
weak:
  model_name_or_path: models/weak
strong:
  model_name_or_path: models/strong
models:
  medium: {model_name_or_path: models/medium}
methods:
  naive: {loss: cross_entropy}
  logconf: {loss: log_confidence}
train:
  per_device_train_batch_size: 4
tune:
  learning_rate: [1e-5, 3e-5]
  loss.max_weight: [0.25, 0.5, 0.75]
"""
ONLY_THESE = "only training options and loss.<field> are tuned"


def load(folder: Path, *overrides: str, text: str = GOOD) -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(text, encoding="utf-8")
    return load_recipe(path, overrides)


def problems(folder: Path, *overrides: str, text: str = GOOD) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, *overrides, text=text)
    return [line.removeprefix("  - ") for line in str(caught.value).split("\n")[1:]]


def test_what_is_read(tmp_path: Path) -> None:
    recipe = load(
        tmp_path, "weak.tune={learning_rate: [1e-4, 3e-4]}", "models.medium.tune={learning_rate: [1e-6, 2e-6]}"
    )
    assert recipe.tune == {"learning_rate": (1e-5, 3e-5), "loss.max_weight": (0.25, 0.5, 0.75)}
    assert recipe.weak.tune == {"learning_rate": (1e-4, 3e-4)} and recipe.strong.tune == {}
    assert recipe.more["medium"].tune == {"learning_rate": (1e-6, 2e-6)}
    assert load(tmp_path, "tune=null").tune == {}


def test_a_field_of_a_loss_stands_with_a_dot_or_inside(tmp_path: Path) -> None:
    inside = GOOD.replace("loss.max_weight: [0.25, 0.5, 0.75]", "loss: {max_weight: [0.25, 0.5, 0.75]}")
    assert load(tmp_path, text=inside).tune == load(tmp_path).tune
    # On the command line too, whichever way the file has it.
    for text in (GOOD, inside):
        assert load(tmp_path, "tune.loss.max_weight=[0.1, 0.2]", text=text).tune["loss.max_weight"] == (0.1, 0.2)
    both = GOOD + "  loss: {max_weight: [0.1, 0.2]}\n"
    assert problems(tmp_path, text=both) == [
        "line 17: tune.loss.max_weight: stands twice, with a dot and inside a mapping; keep one"
    ]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("tune.learning_rate=1e-5", "1e-05 is no list of values to choose from; write [1e-05, …], or tune nothing"),
        ("tune.learning_rate=[]", "is empty: there is nothing to choose; name two or more, or set it where it is"),
        ("tune.learning_rate=[1e-5]", "has one value, 1e-05: there is nothing to choose"),
        ("tune.learning_rate=[1e-5, 2e-5, 1.0e-5]", "repeats 1e-05; a value is tried once"),
        ("tune.learning_rate=[1e-5, fast]", "'fast' is no float"),
        ("tune.per_device_train_batch_size=[0, 8]", "is 0; use 1 or more"),
        ("tune.optim=[adamw_torch, adamw_torc]", "'adamw_torc' is unknown; did you mean 'adamw_torch'?"),
        ("tune.learning_rte=[1e-5, 2e-5]", "unknown option; did you mean 'learning_rate'?"),
        ("tune.lora_r=[8, 16]", "unknown option; it belongs under weak or strong"),
        ("tune.n_train=[100, 200]", f"changes the data, which must be the same for all; {ONLY_THESE}"),
        ("tune.draw=[1, 2]", "changes the data"),
        ("tune.task.n_train=[100, 200]", "changes the data"),
        ("tune.weak.learning_rate=[1e-5, 2e-5]", f"unknown option; {ONLY_THESE}, of one model alone under its own"),
        ("tune.max_length=[64, 128]", "says how examples are read, also by whoever labels and scores later"),
        ("tune.bf16=[true, false]", "says how examples are read"),
        ("tune.seed=[0, 1]", "is a seed, and the best of several seeds is luck: seeds are repetitions"),
        ("tune.data_seed=[0, 1]", "is a seed"),
        ("tune.logging_steps=[1, 2]", f"changes no result; {ONLY_THESE}"),
        *(
            (f"tune.{idle}", "changes no result")
            for idle in (
                "metric_for_best_model=[loss, accuracy]", "eval_steps=[10, 20]", "label_names=[[a], [b]]",
                "save_only_model=[true, false]", "debug=[underflow_overflow, tpu_metrics_debug]",
                "ddp_bucket_cap_mb=[10, 20]", "ddp_backend=[gloo, nccl]", "skip_memory_metrics=[true, false]",
            )
        ),
        ("tune.output_dir=[a, b]", "is set by the run's folder"),
        ("tune.evaluations=[2, 4]", "says when a training is scored, for each trial in the same way; set it once"),
        ("tune.evaluation_spacing=[log, even]", "says when a training is scored, for each trial in the same way"),
        ("tune.keep=[end, weak_validation]", "says which of a training's models is saved, for each trial in the same"),
        ("tune.layer=[1, 2]", "is an option of features, not of their training; several of layer and l2 are"),
        ("tune.loss.max_wight=[0.1, 0.2]", "no method has a loss with a field 'max_wight'; did you mean 'max_weight'?"),
        ("tune.loss.max_weight=[0.1, 1.5]", "is 1.5"),
        ("tune.loss.max_weight=[0.1, much]", "'much' is no float"),
    ],
)  # fmt: skip
def test_what_cannot_be_chosen(override: str, expected: str, tmp_path: Path) -> None:
    (said,) = problems(tmp_path, override)
    assert said.startswith(f"command line: {override.partition('=')[0]}: ") and expected in said


def test_a_mistake_stands_at_its_line(tmp_path: Path) -> None:
    text = GOOD.replace("learning_rate", "seed").replace("[0.25, 0.5, 0.75]", "[0.25]")
    first, second = problems(tmp_path, text=text)
    assert first.startswith("line 15: tune.seed: is a seed")
    assert second.startswith("line 16: tune.loss.max_weight: has one value, 0.25")
    assert problems(tmp_path, "tune={}") == [
        f"command line: tune: names nothing; for example {{learning_rate: [1e-5, 3e-5]}}; {ONLY_THESE}"
    ]


@pytest.mark.parametrize(
    "place",
    ["train", "weak.train", "strong.train", "models.medium.train", "methods.naive.train", "methods.logconf.loss"],
)
def test_one_value_beside_several_is_refused(place: str, tmp_path: Path) -> None:
    name, line = ("max_weight", 16) if place.endswith("loss") else ("learning_rate", 15)
    text = GOOD.replace("{loss: log_confidence}", "{loss: {name: log_confidence}}")
    assert problems(tmp_path, f"{place}.{name}=0.5", text=text) == [
        f"command line: {place}.{name}: has one value here and several under tune (line {line}); keep one of the two"
    ]


def test_lists_of_a_part(tmp_path: Path) -> None:
    said = problems(
        tmp_path,
        "weak.tune={learning_rate: [1e-5, 2e-5, 3e-5]}",
        "strong.tune={num_train_epochs: [1, 2]}",
        "models.medium.tune={loss.max_weight: [0.1, 0.2], learning_rate: [1e-5, slow]}",
    )
    assert said == [
        "command line: weak.tune.learning_rate: has 3 values, and the recipe's own tune 2: all models have the same "
        "number of trials; name as many",
        "command line: strong.tune.num_train_epochs: stands in place of a list of the recipe's own tune; known: "
        "learning_rate, loss.max_weight",
        "command line: models.medium.tune.loss.max_weight: a loss is the method's; write its values under the recipe's "
        "own tune",
        "command line: models.medium.tune.learning_rate: 'slow' is no float",
    ]
    assert problems(tmp_path, "tune=null", "weak.tune={learning_rate: [1e-5, 2e-5]}") == [
        "command line: weak.tune.learning_rate: stands in place of a list of the recipe's own tune; it has none"
    ]


def test_what_is_chosen_by_must_be_there(tmp_path: Path) -> None:
    assert problems(tmp_path, "task.n_validation=null") == [
        "command line: task.n_validation: is missing to choose what is tuned by the validation split; set it to 500 or "
        "more"
    ]
    # 1.96 sqrt(0.1 / 40) and 1.96 sqrt(0.1 / 500), in points.
    assert problems(tmp_path, "task.n_validation=40") == [
        "command line: task.n_validation: is 40, at least 50 are needed to choose what is tuned by the validation split"
        ": 40 examples show a difference of 9.8 points (half of a 95 % interval, between two models that choose "
        "differently on 10 % of them), 500 one of 2.8; set it to 500 or more"
    ]
    assert load(tmp_path, "task.n_validation=50").tune


@pytest.mark.parametrize("given", ["labels: weak.jsonl", "trained: true, model_name_or_path: models/weak"])
def test_lists_of_a_part_that_is_not_trained(given: str, tmp_path: Path) -> None:
    (said,) = problems(tmp_path, f"weak={{{given}, tune: {{learning_rate: [1e-4, 3e-4]}}}}")
    name = given.partition(":")[0]
    assert said.startswith(f"command line: weak.tune: with {name} nothing is trained here that could be chosen")
    if name == "trained":
        # But a student that begins there is.
        load(tmp_path, f"weak={{{given}, tune: {{learning_rate: [1e-4, 3e-4]}}}}", "methods.naive.model=weak")
