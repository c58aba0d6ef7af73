"""What a stage derives from its fields, for every kind, and that a kind of one's own is one file."""

from __future__ import annotations

import dataclasses
import pickle
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import yaml

from w2s_rm import catalog, options
from w2s_rm.data.label_files import read_labels
from w2s_rm.errors import ConfigError, UnknownNameError
from w2s_rm.experiment.plan import make_plan
from w2s_rm.experiment.recipe import load_recipe
from w2s_rm.programs.launched import parse_model_stage
from w2s_rm.runs.launch import Launch
from w2s_rm.stages import Examples, Labels, Model, Scores, Stage, extra, held, recorded
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.portion import Portion
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.relabel import Relabel
from w2s_rm.stages.train import Train
from w2s_rm.training.config import build_loss
from w2s_rm.training.pretraining import Pretraining
from w2s_rm.types import Example, content_hash

KINDS = catalog.names("stages")
OWN = str(Path(__file__).with_name("longest.py"))
SUPERVISOR = str(Path(__file__).with_name("length_prior.py"))
RECIPE = """\
name: small
task: {name: world_preference, n_train: 64, n_test: 16}
weak: {pretrain: {hidden_size: 16, num_hidden_layers: 1, steps: 1}}
strong: {pretrain: {hidden_size: 32, num_hidden_layers: 1, steps: 1}}
methods:
  length: {loss: cross_entropy, supervisor: {name: PATH, confidence: 0.9}}
train: {per_device_train_batch_size: 8, learning_rate: 1e-3}
seeds: [0]
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Maker(Stage):
    """Makes a model of examples."""

    version: ClassVar[int] = 1

    examples: Examples
    amount: int = 1
    comment: str | None = recorded(None)
    worker: str | None = held(None)

    @property
    def model(self) -> Model:
        return self.made(Model, "model")


@dataclass(frozen=True, kw_only=True, eq=False)
class Reader(Stage):
    """Reads all kinds of things."""

    version: ClassVar[int] = 1

    model_name_or_path: Model
    others: tuple[Model, ...] = ()
    labels: Labels | None = None
    loss: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def loads_model(self) -> bool:
        return False


def split(folder: str = "/data") -> Examples:
    return Examples(f"{folder}/examples.parquet", "sha-of-examples")


def maker(folder: Path, **changes: Any) -> Maker:
    return Maker(**{"runs": folder, "examples": split(), **changes})


def test_references_say_what_is_read(tmp_path: Path) -> None:
    one, two = maker(tmp_path), maker(tmp_path, amount=2)
    labels = Labels("/data/labels.csv", "sha-of-labels")
    stage = Reader(runs=tmp_path, model_name_or_path=one.model, others=(one.model, two.model), labels=labels)
    assert list(stage.references) == ["model_name_or_path", "others.0", "others.1", "labels"]
    assert stage.inputs == {
        "model_name_or_path": f"{one.hash}/model",
        "others.0": f"{one.hash}/model",
        "others.1": f"{two.hash}/model",
        "labels": "sha-of-labels",
    }
    # Each once, and none for what lies elsewhere.
    assert list(stage.needs) == [one, two] and list(one.needs) == []
    folder = tmp_path / "stages" / f"test_base-{one.hash}"
    assert one.folder == folder and one.model.path == str(folder / "model") and one.model.maker is one
    assert stage.config() == {
        "stage": catalog.name_of(Reader),
        "loss": {},
        "model_name_or_path": one.model.path,
        "others": [one.model.path, two.model.path],
        "labels": "/data/labels.csv",
        "inputs": stage.inputs,
        "stage_hash": stage.hash,
    }


def test_what_enters_the_hash(tmp_path: Path) -> None:
    stage = maker(tmp_path)
    same = [
        {"comment": "for a reader"},
        {"worker": "for the planner"},
        {"of": "weak", "method": "naive", "policy": "dpo", "note": "x", "part": "weak", "seed": 3},
        {"launch": Launch(None, gpus=2)},
        {"runs": tmp_path / "moved"},
        {"examples": split("/elsewhere")},
    ]
    assert {maker(tmp_path, **changes).hash for changes in same} == {stage.hash}
    other = [{"amount": 2}, {"examples": Examples(split().path, "sha-of-others")}]
    hashes = {maker(tmp_path, **changes).hash for changes in other}
    assert len(hashes) == 2 and stage.hash not in hashes
    assert len(stage.hash) == 12

    class Later(Maker):
        version: ClassVar[int] = 2

    assert Later(runs=tmp_path, examples=split()).hash != stage.hash

    @dataclass(frozen=True, kw_only=True, eq=False)
    class Besides(Maker):
        measured: int | None = extra(None)
        by: Labels | None = extra(None)

    # What a stage can do besides is nothing where it is not asked for.
    assert Besides(runs=tmp_path, examples=split()).hash == stage.hash
    besides = [{"measured": 3}, {"by": Labels("x", "y")}]
    assert len({stage.hash, *(Besides(runs=tmp_path, examples=split(), **one).hash for one in besides)}) == 3
    # What is made by another stage is another thing, although its path ends alike.
    readers = [Reader(runs=one.runs, model_name_or_path=one.model) for one in (stage, maker(tmp_path / "moved"))]
    assert (
        readers[0].hash
        == readers[1].hash
        != Reader(runs=tmp_path, model_name_or_path=maker(tmp_path, amount=2).model).hash
    )
    # An optional reference that is not there, and one that is.
    labelled = Reader(runs=tmp_path, model_name_or_path=stage.model, labels=Labels("x", "y"))
    assert labelled.hash != readers[0].hash


def test_marked_fields_and_the_config(tmp_path: Path) -> None:
    config = maker(tmp_path, comment="for a reader", worker="for the planner", of="weak", method="naive").config()
    assert (config["comment"], config["of"], config["amount"]) == ("for a reader", "weak", 1)
    assert not {"worker", "method", "runs", "launch", "seed", "note"} & config.keys()


def test_what_follows_a_model(tmp_path: Path) -> None:
    assert not Reader(runs=tmp_path, model_name_or_path=Model("hub/id", "x")).follows_model
    reader = Reader(runs=tmp_path, model_name_or_path=maker(tmp_path).model)
    assert reader.follows_model and not reader.loads_model
    assert Reader(runs=tmp_path, model_name_or_path=Model("y", "y", reader)).follows_model


def test_titles(tmp_path: Path) -> None:
    common: dict[str, Any] = {"runs": tmp_path, "examples": split(), "model_name_or_path": Model("hub/id", "x")}
    student = Train(**common, seed=3, of="student", method="naive", note="round 1")
    assert student.title == "student naive round 1 seed 3"
    assert dataclasses.replace(student, of="intermediate", note="head").title == "naive head seed 3"
    assert Evaluate(**common, of="student", method="naive", policy="dpo", seed=0).title == (
        "evaluate student naive dpo seed 0"
    )
    assert Relabel(**common, of="labels", method="naive").title == "relabel naive"
    assert (student.noun, dataclasses.replace(student, labels=Labels("x", "y")).noun) == ("truth", "student")


def test_commands(tmp_path: Path) -> None:
    config = tmp_path / "two.yaml"
    config.write_text("num_processes: 2\n", encoding="utf-8")
    common: dict[str, Any] = {"runs": tmp_path, "examples": split(), "model_name_or_path": Model("hub/id", "x")}
    alone, both = Relabel(**common), Relabel(**common, launch=Launch(config))
    program = ["-m", "w2s_rm.stages.relabel", "--config", str(alone.folder / "config.yaml")]
    program += ["--output_dir", str(alone.folder)]
    assert alone.command() == [sys.executable, *program]
    assert both.command() == [
        sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(config), *program
    ]  # fmt: skip
    # A file of labels needs one process.
    given = Relabel(runs=tmp_path, examples=split(), labels=Labels("x", "y"), launch=Launch(config))
    assert given.command()[1] == "-m" and given.command()[2] == "w2s_rm.stages.relabel"
    # Scoring does not depend on the number of processes; training does, by the examples of a step.
    assert alone.hash == both.hash
    steps = [Train(**common, seed=0, launch=launch).hash for launch in (Launch(), Launch(config))]
    assert steps[0] != steps[1]
    halves = Train(**common, seed=0, launch=Launch(config), options={"per_device_train_batch_size": 4})
    assert halves.hash == Train(**common, seed=0, options={"per_device_train_batch_size": 8}).hash


@pytest.mark.parametrize("name", KINDS)
def test_every_kind(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = catalog.lookup("stages", name)
    assert issubclass(kind, Stage) and isinstance(kind.version, int)
    assert kind.__module__ == f"w2s_rm.stages.{name}" and catalog.name_of(kind) == name
    program = ModuleType("__main__")
    program.__spec__ = ModuleSpec(f"w2s_rm.stages.{name}", None)
    monkeypatch.setitem(sys.modules, "__main__", program)
    monkeypatch.setattr(kind, "__module__", "__main__")
    assert catalog.name_of(kind) == name, "as a program it is the same stage"
    own = {option.name for option in dataclasses.fields(kind)} - {option.name for option in dataclasses.fields(Stage)}
    documented = " ".join(base.__doc__ or "" for base in kind.__mro__)
    assert not [field for field in own if f"{field} (" not in documented]
    assert "run" in vars(kind)


@pytest.mark.parametrize("name", KINDS)
def test_a_stage_goes_to_another_process(name: str, tmp_path: Path) -> None:
    stage = example_of(name, tmp_path)
    copy = pickle.loads(pickle.dumps(stage))
    assert type(copy) is type(stage)
    assert (copy.hash, copy.folder, copy.config(), copy.title) == (
        stage.hash,
        stage.folder,
        stage.config(),
        stage.title,
    )


def example_of(name: str, runs: Path) -> Stage:
    """A stage of a kind with a value in each field that must be given."""
    kind, made = catalog.lookup("stages", name), Portion(runs=runs, examples=split(), number=0, parts=2)
    hints, values = typing.get_type_hints(kind), {}
    plain = {int: 2, float: 0.5, str: "word", Path: runs}
    for option in dataclasses.fields(kind):
        if option.default is dataclasses.MISSING and option.default_factory is dataclasses.MISSING:
            hint = hints[option.name]
            parts = [part for part in (hint, *typing.get_args(hint)) if isinstance(part, type)]
            read = next((part for part in parts if part in (Examples, Labels, Model, Scores)), None)
            if read is not None:
                reference = made.made(read, option.name)
                values[option.name] = reference if hint is read else (reference,)
            elif hint in plain:
                values[option.name] = plain[hint]
            else:
                values[option.name] = [] if typing.get_origin(hint) is list else {}
    stage: Stage = kind(**values)
    return stage


@pytest.mark.parametrize("kind", [Train, Relabel, Evaluate])
def test_a_config_is_read_as_it_was_planned(kind: type[Stage], tmp_path: Path) -> None:
    values: dict[str, Any] = {
        "runs": tmp_path / "runs",
        "of": "student",
        "examples": split(),
        "model_name_or_path": maker(tmp_path).model,
        "setting": "classification",
        "head": "classification",
        "classes": [" no", " yes"],
        "seed": 7,
        "options": {"learning_rate": 3e-4, "bf16": False, "max_length": 48, "lora_r": 4},
    }
    if kind is Train:
        values |= {
            "labels": Labels("/data/labels.csv", "y"),
            "loss": {"name": "log_confidence", "max_weight": 0.4},
            "trainable_layers": 2,
            "run_name": "one-name",
        }
    stage = kind(**values)
    stage.write_config()
    read, args, model_args, output = parse_model_stage(stage.arguments(), kind)
    assert output == stage.folder
    for name in ("of", "setting", "head", "classes"):
        assert getattr(read, name) == values[name]
    paths = {name: reference.path for name, reference in stage.references.items()}
    assert model_args.model_name_or_path == paths.pop("model_name_or_path")
    assert {name: getattr(read, name) for name in paths} == paths
    assert (read.stage, read.stage_hash, read.inputs) == (stage.kind, stage.hash, stage.inputs)
    assert (args.learning_rate, args.bf16, args.max_length, model_args.lora_r) == (3e-4, False, 48, 4)
    if kind is Train:
        assert (args.seed, args.run_name, args.loss) == (7, "one-name", values["loss"])
        assert read.trainable_layers == 2
    else:
        assert read.labels is None
    wrong = Evaluate if kind is Relabel else Relabel
    with pytest.raises(ConfigError, match=f"config of a stage {stage.kind}; run it with -m w2s_rm.stages.{stage.kind}"):
        parse_model_stage(stage.arguments(), wrong)


def test_a_kind_of_ones_own_is_one_file(
    examples: list[Example],
    on_disk: Callable[..., Examples],
    run_stage: Callable[[Stage], dict[str, Any]],
    tmp_path: Path,
) -> None:
    kind = catalog.lookup("stages", OWN)
    stage = kind(runs=tmp_path, examples=on_disk(examples), confidence=0.9)
    assert stage.folder.name == f"longest-{stage.hash}" and stage.title == "longest"
    assert stage.config()["stage"] == catalog.name_of(kind) == OWN
    assert catalog.lookup("stages", OWN) is kind and issubclass(kind, Stage)
    stage.write_config()
    # By its own command, in a process that knows nothing of this one.
    done = subprocess.run(stage.command(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert stage.cached
    # All good candidates are longer.
    labels = read_labels(stage.folder / "weak_labels.parquet")
    assert [label.probabilities[0] > 0.5 for label in labels] == [
        len(e.candidates[0]) > len(e.candidates[1]) for e in examples
    ]
    # Elsewhere it is the same stage, also after a journey to another process.
    moved = str(shutil.copy(OWN, tmp_path / "longest.py"))
    assert catalog.lookup("stages", moved)(runs=tmp_path, examples=stage.examples, confidence=0.9).hash == stage.hash
    reader = f"import pickle; print(pickle.loads({pickle.dumps(stage)!r}).hash)"
    fresh = subprocess.run([sys.executable, "-c", reader], capture_output=True, text=True, check=True)
    assert fresh.stdout.strip() == stage.hash


def test_a_recipe_names_a_file_of_ones_own(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(RECIPE.replace("PATH", SUPERVISOR), encoding="utf-8")
    plan = make_plan(load_recipe(recipe, ()), tmp_path / "runs")
    own = [stage for stage in plan.stages if stage.kind == "longest"]
    assert {(stage.title, Path(stage.references["examples"].path).stem) for stage in own} == {
        ("longest length", "relabel"),
        ("longest", "test"),
    }
    assert len(own) == 2
    assert "evaluate weak length seed 0" in [stage.title for stage in plan.stages]
    student = next(stage for stage in plan.stages if stage.of == "student")
    assert student.references["labels"].maker.confidence == 0.9
    mistakes = RECIPE.replace("PATH", SUPERVISOR).replace("confidence", "confidenc")
    recipe.write_text(mistakes, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 6: methods.length.supervisor.*did you mean 'confidence'"):
        load_recipe(recipe, ())
    broken = tmp_path / "broken.py"
    broken.write_text("import nowhere_at_all\n", encoding="utf-8")
    recipe.write_text(RECIPE.replace("PATH", str(broken)), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 6: methods.length.supervisor.*cannot be imported"):
        load_recipe(recipe, ())


@pytest.mark.parametrize("what", ["loss", "task", "corpus"])
def test_a_file_counts_by_its_content(what: str, tmp_path: Path) -> None:
    kinds = {"loss": "losses/cross_entropy", "task": "tasks/world_preference", "corpus": "corpora/facts"}
    source = (Path(catalog.__file__).parent / f"{kinds[what]}.py").read_text(encoding="utf-8")
    name = catalog.class_name(Path(kinds[what]).name)

    def identity(file: Path, text: str) -> str:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text.replace(f"class {name}", "class Own"), encoding="utf-8")
        if what == "corpus":
            return content_hash(Pretraining(corpus={"name": str(file)}).identity())
        if what == "task":
            return Prepare(runs=tmp_path, task={"name": str(file)}, sizes={}, source="").hash
        return Train(
            runs=tmp_path, examples=split(), model_name_or_path=Model("x", "x"), seed=0, loss={"name": str(file)}
        ).hash

    before = identity(tmp_path / "own.py", source)
    assert identity(tmp_path / "moved" / "own.py", source) == before
    assert identity(tmp_path / "changed" / "own.py", source + "# Changed.\n") != before


def test_files_that_hold_no_component(tmp_path: Path) -> None:
    file = tmp_path / "my_loss.py"
    with pytest.raises(UnknownNameError, match="unknown loss '.*my_loss.py'"):
        catalog.lookup("losses", str(file))
    file.write_text("class Loss: ...\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="my_loss.py: no class MyLoss in it; name the class after the file"):
        catalog.lookup("losses", str(file))
    broken = tmp_path / "broken.py"
    broken.write_text("import nowhere_at_all\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="broken.py: cannot be imported .*nowhere_at_all"):
        catalog.lookup("losses", str(broken))
    assert not [name for name in sys.modules if name.endswith(".broken")]
    ending = tmp_path / "ending.py"
    ending.write_text("import sys\nsys.exit(3)\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"ending.py: cannot be imported \(SystemExit: 3\)"):
            catalog.lookup("losses", str(ending))


KINDS_OF_FILES = [kind for kind in typing.get_args(catalog.Kind) if kind != "stages"]


@pytest.mark.parametrize("kind", KINDS_OF_FILES)
def test_files_that_hold_a_component_of_another_kind(kind: catalog.Kind, tmp_path: Path) -> None:
    """Each of another kind is refused with what it lacks, and none of its own kind is."""
    root = Path(catalog.__file__).parent
    for other in KINDS_OF_FILES:
        folder = root / "report" / other if other in ("sections", "hypotheses") else root / other
        name = catalog.names(other)[0]
        if other == kind:
            catalog.lookup(kind, str(folder / f"{name}.py"))
            continue
        with pytest.raises(ConfigError, match=f"is no {catalog.singular(kind)}, for it has no "):
            catalog.lookup(kind, str(folder / f"{name}.py"))
    plain = tmp_path / "plain.py"
    plain.write_text("class Plain: ...\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="plain.py: Plain is no "):
        catalog.lookup(kind, str(plain))
    plain.write_text("Plain = 3\n", encoding="utf-8")
    (tmp_path / "number.py").write_text("Number = 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no class Number in it"):
        catalog.lookup(kind, str(tmp_path / "number.py"))


def test_a_component_that_raises_what_it_likes(tmp_path: Path) -> None:
    file = tmp_path / "choosy.py"
    source = (Path(catalog.__file__).parent / "losses" / "cross_entropy.py").read_text(encoding="utf-8")
    more = '\n    def __post_init__(self):\n        raise ValueError("never")\n'
    file.write_text(source.replace("class CrossEntropy", "class Choosy") + more, encoding="utf-8")
    (mistake,) = options.mistakes("losses", {"name": str(file)})
    assert mistake.text == "ValueError: never"


def test_the_examples_of_every_kind_are_written(tmp_path: Path) -> None:
    for name in KINDS:
        stage = example_of(name, tmp_path)
        written = yaml.safe_load(stage.write_config().read_text(encoding="utf-8")) if name != "pretrain" else None
        assert written is None or written == stage.config()


def test_a_loss_of_ones_own(tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    source = (Path(catalog.__file__).parent / "losses" / "cross_entropy.py").read_text(encoding="utf-8")
    file.write_text(source.replace("class CrossEntropy", "class Half"), encoding="utf-8")
    recipe = tmp_path / "recipe.yaml"
    text = RECIPE.replace("{loss: cross_entropy, supervisor: {name: PATH, confidence: 0.9}}", "{loss: {name: OWN}}")
    recipe.write_text(text.replace("OWN", str(file)), encoding="utf-8")
    plan = make_plan(load_recipe(recipe, ()), tmp_path / "runs")
    student = next(stage for stage in plan.stages if stage.of == "student" and stage.trains)
    assert build_loss(student.config()["loss"]) == catalog.lookup("losses", str(file))()
