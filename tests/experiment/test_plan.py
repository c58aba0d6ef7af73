"""Which stages a recipe has, and what decides the name of a stage's folder."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from w2s_rm.errors import ConfigError, InUseError
from w2s_rm.experiment.plan import Plan, make_plan, model_label
from w2s_rm.experiment.recipe import ModelSpec, load_recipe
from w2s_rm.roles import LABELS
from w2s_rm.runs.folder import lock
from w2s_rm.runs.launch import Launch, find_accelerate_config
from w2s_rm.runs.places import model_version
from w2s_rm.training.pretraining import Pretraining

Role = tuple[str, str | None, str | None, int | None]


def plan_of(recipe: Path, *overrides: str) -> Plan:
    return make_plan(load_recipe(recipe, overrides), recipe.parent / "runs")


def folders(plan: Plan) -> dict[Role, str]:
    roles = ((stage.kind, None if stage.of == LABELS else stage.of, stage.method, stage.seed) for stage in plan.stages)
    return {role: stage.folder.name for role, stage in zip(roles, plan.stages, strict=True)}


def changed(recipe: Path, *overrides: str, base: tuple[str, ...] = ()) -> set[str]:
    """Names of the stages whose folder changes, as `stage[ of][ method]`, over the seeds that both have."""
    before, after = folders(plan_of(recipe, *base)), folders(plan_of(recipe, *base, *overrides))
    assert set(before) == set(after)
    return {" ".join(filter(None, role[:3])).removeprefix("train ") for role in before if before[role] != after[role]}


EVALUATIONS = {"evaluate weak", "evaluate student naive", "evaluate student logconf", "evaluate ceiling"}
STUDENTS = {"student naive", "student logconf", "evaluate student naive", "evaluate student logconf"}
CEILING = {"ceiling", "evaluate ceiling"}
WEAK = {"weak", "relabel", "evaluate weak"}
ON_CPUS = ["env", "W2S_RM_ON_CPUS=true"]
EVERYTHING = {"prepare"} | WEAK | STUDENTS | CEILING


def test_stages_in_order(recipe_file: Path) -> None:
    assert [stage.title for stage in plan_of(recipe_file, "seeds=[5]").stages] == [
        "prepare",
        "weak seed 5",
        "relabel seed 5",
        "evaluate weak seed 5",
        "student naive seed 5",
        "evaluate student naive seed 5",
        "student logconf seed 5",
        "evaluate student logconf seed 5",
        "ceiling seed 5",
        "evaluate ceiling seed 5",
    ]


def test_every_stage_finds_its_inputs(recipe_file: Path) -> None:
    plan = plan_of(recipe_file)
    made: set[str] = set()
    for stage in plan.stages:
        for key in ("examples", "labels", "model_name_or_path"):
            given = Path(str(stage.config().get(key, "")))
            if plan.run_folder.parent / "stages" in given.parents:
                name = given.relative_to(plan.run_folder.parent / "stages").parts[0]
                assert name in made, f"{stage.title} reads {name} before it is made"
                part = given.relative_to(plan.run_folder.parent / "stages" / name)
                assert f"{name.rsplit('-', 1)[1]}/{part}" in stage.config()["inputs"].values()
        made.add(stage.folder.name)


def test_student_and_ceiling_train_on_the_relabelled_split(recipe_file: Path) -> None:
    for stage in plan_of(recipe_file).stages:
        trained = {"weak": "weak", "student": "relabel", "ceiling": "relabel"}
        if stage.kind != "prepare":
            wanted = {"relabel": "relabel", "evaluate": "test"}.get(stage.kind) or trained[str(stage.of)]
            assert Path(stage.config()["examples"]).stem == wanted
        assert ("labels" in stage.config()) == (stage.of == "student" and stage.trains)


def test_seeds_add_stages(recipe_file: Path) -> None:
    one, two = folders(plan_of(recipe_file, "seeds=[0]")), folders(plan_of(recipe_file))
    assert one == {role: folder for role, folder in two.items() if role[3] in (0, None)}
    assert len(two) == 1 + 2 * (len(one) - 1)


def test_shared_stages_appear_once(recipe_file: Path) -> None:
    plan = plan_of(recipe_file, "methods.same={loss: cross_entropy}")
    counts = Counter(stage.folder for stage in plan.stages if stage.kind != "evaluate")
    assert set(counts.values()) == {1}
    assert [stage.method for stage in plan.stages if stage.of == "student" and stage.trains and stage.seed == 0] == [
        "naive",
        "logconf",
    ]
    evaluations = {stage.method: stage.folder for stage in plan.stages if stage.of == "student" and stage.seed == 0}
    assert evaluations["same"] == evaluations["naive"] != evaluations["logconf"]


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("weak.train.learning_rate=2e-4", WEAK | STUDENTS),
        ("strong.train.learning_rate=2e-4", STUDENTS | CEILING),
        ("strong.lora_r=4", STUDENTS | CEILING),
        ("train.learning_rate=2e-4", STUDENTS | CEILING),
        ("train.num_train_epochs=2", EVERYTHING - {"prepare"}),
        ("train.max_length=64", EVERYTHING - {"prepare"}),
        ("train.per_device_train_batch_size=16", EVERYTHING - {"prepare"}),
        ("methods.logconf.loss.max_weight=0.6", {"student logconf", "evaluate student logconf"}),
        ("methods.naive.train={num_train_epochs: 3}", {"student naive", "evaluate student naive"}),
        ("task.n_train=12", EVERYTHING),
        ("task.separator=x", EVERYTHING),
        ("weak.model_name_or_path={folder}/models/strong", WEAK | STUDENTS),
        ("strong.model_name_or_path={folder}/models/weak", STUDENTS | CEILING),
    ],
)
def test_an_option_changes_what_follows_from_it_and_nothing_else(
    recipe_file: Path, override: str, expected: set[str]
) -> None:
    assert changed(recipe_file, override.replace("{folder}", str(recipe_file.parent))) == expected


@pytest.mark.parametrize(
    "override",
    [
        "train.logging_steps=7",
        "train.report_to=tensorboard",
        "train.save_steps=9",
        "train.save_strategy=epoch",
        "train.per_device_eval_batch_size=3",
        "train.dataloader_num_workers=2",
        "train.disable_tqdm=true",
        "weak.train.logging_steps=7",
        "methods.naive.train={save_steps: 9}",
        "methods.naive.loss=cross_entropy",
        "name=renamed",
    ],
)
def test_how_a_stage_is_watched_or_stored_changes_nothing(recipe_file: Path, override: str) -> None:
    assert changed(recipe_file, override) == set()


def test_the_batch_counts_as_a_whole(recipe_file: Path) -> None:
    split = ("train.per_device_train_batch_size=16", "train.gradient_accumulation_steps=2")
    assert changed(recipe_file, *split) == set()
    assert changed(recipe_file, "train.per_device_train_batch_size=16", "accelerate_config=cpu_ddp") == set()
    assert changed(recipe_file, "accelerate_config=cpu_ddp") == EVERYTHING - {"prepare"}, (
        "two processes: 64 instead of 32"
    )


def test_other_data_is_another_task(recipe_file: Path) -> None:
    before = folders(plan_of(recipe_file))
    path = recipe_file.parent / "pairs.jsonl"
    path.write_text(path.read_text().replace("good 7", "fine 7"))
    after = folders(plan_of(recipe_file))
    assert all(before[role] != after[role] for role in before)


def test_other_weights_are_another_model(recipe_file: Path) -> None:
    before = folders(plan_of(recipe_file))
    (recipe_file.parent / "models" / "strong" / "model.safetensors").write_text("weights of strona")
    after = folders(plan_of(recipe_file))
    assert {role[1] for role in before if before[role] != after[role]} == {"student", "ceiling"}


def test_large_weights_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(bytes(9 << 20))
    versions = {model_version(str(tmp_path), "main")}
    for position in (0, (9 << 20) - 1):
        weights = bytearray(9 << 20)
        weights[position] = 1
        (tmp_path / "model.safetensors").write_bytes(weights)
        versions.add(model_version(str(tmp_path), "main"))
    (tmp_path / "model.safetensors").write_bytes(bytes((9 << 20) + 1))
    versions.add(model_version(str(tmp_path), "main"))
    assert len(versions) == 4


def test_the_content_of_a_chat_template_counts_and_its_path_does_not(recipe_file: Path) -> None:
    folder = recipe_file.parent
    (folder / "a.jinja").write_text("{{ messages }}")
    (folder / "b.jinja").write_text("{{ messages }}")
    base = f"train.chat_template_path={folder}/a.jinja"
    assert changed(recipe_file, f"train.chat_template_path={folder}/b.jinja", base=(base,)) == set()
    before = folders(plan_of(recipe_file, base))
    (folder / "a.jinja").write_text("{{ messages[0] }}")
    after = folders(plan_of(recipe_file, base))
    assert {role[0] for role in before if before[role] == after[role]} == {"prepare"}


def test_places_do_not_enter_the_hash(
    tmp_path: Path, make_recipe: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    one, two = make_recipe(here), make_recipe(there)
    (there / "pairs.jsonl").rename(there / "renamed.jsonl")
    (there / "models").rename(there / "others")
    monkeypatch.chdir(there)
    moved = load_recipe(
        two,
        ["task.path=renamed.jsonl", "weak.model_name_or_path=./others/weak", "strong.model_name_or_path=others/strong"],
    )
    plan = make_plan(moved, Path("elsewhere"))
    assert folders(plan) == folders(plan_of(one))
    assert plan.run_folder == there / "elsewhere" / "small"
    for stage in plan.stages:
        paths = [
            stage.folder,
            *(Path(str(stage.config()[key])) for key in ("examples", "model_name_or_path") if key in stage.config()),
        ]
        assert all(path.is_absolute() for path in paths), "a printed command runs from any folder"
    assert plan.stages[0].config()["task"]["path"] == str(there / "renamed.jsonl")


def test_another_process_in_another_folder_finds_the_same_hashes(recipe_file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from w2s_rm.experiment.plan import make_plan; "
        "from w2s_rm.experiment.recipe import load_recipe; "
        f"plan = make_plan(load_recipe(Path({str(recipe_file)!r})), Path('runs')); "
        "import json; print(json.dumps([stage.folder.name for stage in plan.stages]))"
    )
    root = str(Path(__file__).parents[2])
    (recipe_file.parent / "models" / "weak").touch()
    run = subprocess.run(
        [sys.executable, "-c", code],
        cwd=recipe_file.parent / "models",
        env={"PYTHONPATH": root, "PYTHONHASHSEED": "77", "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(run.stdout) == [stage.folder.name for stage in plan_of(recipe_file).stages]


def test_commands(recipe_file: Path) -> None:
    plain, launched = (
        plan_of(recipe_file, "seeds=[0]"),
        plan_of(recipe_file, "seeds=[0]", "strong.accelerate_config=cpu_zero3"),
    )
    weak = next(stage for stage in plain.stages if stage.of == "weak" and stage.trains)
    config = str(weak.folder / "config.yaml")
    assert weak.command() == [
        sys.executable, "-m", "w2s_rm.stages.train", "--config", config, "--output_dir", str(weak.folder)
    ]  # fmt: skip
    found = str(find_accelerate_config("cpu_zero3"))
    launch = [*ON_CPUS, sys.executable, "-m", "accelerate.commands.launch", "--config_file", found, "-m"]
    for stage in launched.stages:
        strong = stage.of in ("student", "ceiling")
        assert (stage.command()[: len(launch)] == launch) == strong, stage.title
    student = next(stage for stage in launched.stages if stage.of == "student" and stage.trains)
    assert student.command()[len(launch) :] == [
        "w2s_rm.stages.train", "--config", str(student.folder / "config.yaml"), "--output_dir", str(student.folder)
    ]  # fmt: skip


def test_a_launch_for_cpus_says_so_to_its_processes(recipe_file: Path) -> None:
    """`accelerate launch` tells several processes nothing of `use_cpu`: where there are GPUs they would take them."""
    for name in ("cpu_ddp", "cpu_zero2", "cpu_zero3", "ddp", "zero2", "zero3", "zero3_offload"):
        command = Launch(find_accelerate_config(name)).command()
        assert (command[: len(ON_CPUS)] == ON_CPUS) == name.startswith("cpu_"), name


def test_an_accelerate_config_by_path(recipe_file: Path) -> None:
    own = recipe_file.parent / "own.yaml"
    own.write_text("num_processes: 1\nuse_cpu: true\n")
    plan = plan_of(recipe_file, f"accelerate_config={own}")
    assert {stage.launch.accelerate_config for stage in plan.stages if stage.loads_model} == {own}
    assert changed(recipe_file, f"accelerate_config={own}") == set()


def test_a_label_file_as_supervisor(recipe_file: Path) -> None:
    labels = recipe_file.parent / "labels.csv"
    labels.write_text("id,candidate_id,probability\n")
    weak = f"weak={{labels: {labels}}}"
    plan = plan_of(recipe_file, weak)
    titles = [stage.title for stage in plan.stages]
    assert titles[:3] == ["prepare", "relabel", "evaluate weak"]
    assert not any("weak" in title for title in titles[3:])
    relabel, judged = plan.stages[1:3]
    for stage, split in ((relabel, "relabel"), (judged, "test")):
        assert not stage.loads_model and stage.config()["labels"] == str(labels)
        assert Path(stage.config()["examples"]).stem == split
    assert [Path(path).stem for path in relabel.config()["other_examples"]] == ["weak", "validation", "test", "unused"]
    students = [stage for stage in plan.stages if stage.of == "student" and stage.trains]
    assert {stage.config()["labels"] for stage in students} == {str(relabel.folder / "weak_labels.parquet")}
    assert plan.record().supervisor == "labels" and plan.record().weak_model == "labels.csv"
    before = folders(plan)
    labels.rename(recipe_file.parent / "moved.csv")
    assert folders(plan_of(recipe_file, weak.replace("labels.csv", "moved.csv"))) == before
    (recipe_file.parent / "moved.csv").write_text("id,candidate_id,probability\nx,y,1\n")
    after = folders(plan_of(recipe_file, weak.replace("labels.csv", "moved.csv")))
    assert {role[0] for role in before if role[0] in ("relabel", "student") and before[role] == after[role]} == set()
    assert {role[:2] for role in before if before[role] == after[role]} == {
        ("prepare", None),
        ("train", "ceiling"),
        ("evaluate", "ceiling"),
    }


def test_a_supervisor_that_is_trained_already(recipe_file: Path) -> None:
    plan = plan_of(recipe_file, "weak.trained=true", "weak.model_revision=v2", "weak.train.model_init_kwargs={a: 1}")
    titles = [stage.title for stage in plan.stages if stage.kind in ("weak", "relabel") or stage.of == "weak"]
    assert titles == ["relabel seed 0", "relabel seed 1", "evaluate weak seed 0", "evaluate weak seed 1"], (
        "it does not depend on the seed"
    )
    for stage in plan.stages:
        if stage.kind == "relabel" or stage.of == "weak":
            assert stage.config()["model_name_or_path"] == str(recipe_file.parent / "models" / "weak")
            assert stage.config()["model_revision"] == "v2"
            assert stage.config()["model_init_kwargs"] == {"a": 1}


def test_without_ground_truth(recipe_file: Path) -> None:
    columns = "task={{name: preference, path: {0}/pairs.jsonl, response_a_column: chosen, response_b_column: rejected}}"
    task = columns.format(recipe_file.parent)
    with pytest.raises(ConfigError, match=r"no ground truth.*weak.labels.*weak.trained: true"):
        plan_of(recipe_file, task)
    (recipe_file.parent / "labels.csv").write_text("id\n")
    for override in ("weak.trained=true", f"weak={{labels: {recipe_file.parent}/labels.csv}}"):
        titles = [stage.title for stage in plan_of(recipe_file, task, override, "seeds=[0]").stages]
        assert titles[0] == "prepare" and titles[1].startswith("relabel")
        assert titles[2:] == [
            "student naive seed 0",
            "evaluate student naive seed 0",
            "student logconf seed 0",
            "evaluate student logconf seed 0",
        ]


def test_hub_ids_plan_offline(recipe_file: Path) -> None:
    hub = (
        "task={name: anthropic_hh}",
        "weak={model_name_or_path: gpt2}",
        "strong={model_name_or_path: Qwen/Qwen2.5-7B}",
    )
    plan = plan_of(recipe_file, *hub)
    assert {stage.config()["model_name_or_path"] for stage in plan.stages if stage.of == "weak" and stage.trains} == {
        "gpt2"
    }
    assert {
        stage.config()["model_name_or_path"] for stage in plan.stages if stage.of == "ceiling" and stage.trains
    } == {"Qwen/Qwen2.5-7B"}
    assert changed(recipe_file, "strong.model_revision=abc", base=hub) == STUDENTS | CEILING
    assert changed(recipe_file, "task.revision=abc", base=hub) == EVERYTHING


def test_package_paths(recipe_file: Path) -> None:
    inside = recipe_file.parent / "site" / "some_models"
    (recipe_file.parent / "models").rename(recipe_file.parent / "site_models")
    inside.parent.mkdir()
    (recipe_file.parent / "site_models").rename(inside)
    (inside / "__init__.py").write_text("raise RuntimeError('imported')")
    (recipe_file.parent / "pairs.jsonl").rename(inside / "pairs.jsonl")
    models = [f"{role}.model_name_or_path=package:some_models/{role}" for role in ("weak", "strong")]
    sys.path.insert(0, str(inside.parent))
    try:
        plan = plan_of(recipe_file, *models, "task.path=package:some_models/pairs.jsonl")
        with pytest.raises(ConfigError, match="there is no 'absent' in the package 'some_models'"):
            plan_of(recipe_file, *models, "task.path=package:some_models/absent")
    finally:
        sys.path.remove(str(inside.parent))
    assert plan.stages[0].config()["task"]["path"] == str(inside / "pairs.jsonl")
    assert plan.stages[1].config()["model_name_or_path"] == str(inside / "weak")


def test_embedded_models_live_in_the_cache(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(recipe_file.parent / "cache"))
    embedded = ("weak={pretrain: {hidden_size: 16, num_hidden_layers: 1}}", "strong={pretrain: {}}")
    plan = plan_of(recipe_file, *embedded, "seeds=[0]")
    made = [stage for stage in plan.stages if stage.kind == "pretrain"]
    assert [stage.folder.parent for stage in made] == [recipe_file.parent / "cache" / "stages"] * 2
    weak = next(stage for stage in plan.stages if stage.of == "weak" and stage.trains)
    assert weak.config()["model_name_or_path"] == str(made[0].folder / "model")
    assert plan.record().weak_model == "pretrained 1x16"
    assert changed(recipe_file, "strong.pretrain.seed=1", base=embedded) == {"pretrain"} | STUDENTS | CEILING
    same = folders(plan_of(recipe_file, *embedded, f"strong.pretrain.steps={Pretraining().steps}", "seeds=[0]"))
    assert same == folders(plan), "a default spelled out is the same model"


def test_all_that_is_missing_is_said_at_once(recipe_file: Path) -> None:
    folder = recipe_file.parent
    (folder / "models" / "strong" / "config.json").unlink()
    with pytest.raises(ConfigError) as caught:
        plan_of(
            recipe_file,
            f"task.path={folder}/pair.jsonl",
            "weak.model_name_or_path=./no/where",
            "strong.accelerate_config=zero5",
        )
    heading, *lines = str(caught.value).split("\n")
    assert heading == "recipe small cannot be planned:"
    assert [line.split(";")[0] for line in lines] == [
        f"  - {folder}/pair.jsonl: no such file or folder",
        "  - model_name_or_path './no/where': no such folder, and no hub id either",
        "  - accelerate_config: no config 'zero5' in deepspeed_configs",
        f"  - model_name_or_path '{folder}/models/strong': no saved model (no config.json)",
    ]
    assert "did you mean 'pairs.jsonl'?" in lines[0]
    assert "known: cpu_ddp, cpu_zero2" in lines[2]
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("override", "text"),
    [
        ("weak={labels: nowhere.csv}", "weak.labels: nowhere.csv: no such file or folder"),
        ("weak={model_name_or_path: a/b/c}", "'a/b/c': no such folder, and no hub id either"),
        ("weak={model_name_or_path: package:no_such_package/model}", "no package 'no_such_package' is installed"),
        ("accelerate_config=nowhere.yaml", "accelerate_config: nowhere.yaml: no such file"),
        ("accelerate_config={folder}/pairs.jsonl.yaml", "pairs.jsonl.yaml: is no accelerate config"),
        ("accelerate_config={folder}/broken.yaml", "broken.yaml: does not parse"),
    ],
)
def test_one_thing_missing(recipe_file: Path, override: str, text: str) -> None:
    (recipe_file.parent / "pairs.jsonl.yaml").write_text("- 1\n")
    (recipe_file.parent / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(ConfigError) as caught:
        plan_of(recipe_file, override.replace("{folder}", str(recipe_file.parent)))
    assert text in str(caught.value)


def test_only_safetensors(recipe_file: Path) -> None:
    weights = recipe_file.parent / "models" / "weak" / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    with pytest.raises(ConfigError, match=r"no \*.safetensors weights in this folder.*save_pretrained"):
        plan_of(recipe_file)
    weights.with_name("model-00001-of-00002.safetensors").touch()
    plan_of(recipe_file)


def test_write_config(recipe_file: Path) -> None:
    plan = plan_of(recipe_file)
    for stage in plan.stages:
        path = stage.write_config()
        assert path == stage.folder / "config.yaml"
        assert yaml.safe_load(path.read_text(encoding="utf-8")) == stage.config(), "numbers stay numbers in plain YAML"
    stage = plan.stages[1]
    before = (stage.folder / "config.yaml").read_text()
    (stage.folder / "config.yaml").write_text("kept: true\n")
    with lock(stage.folder), pytest.raises(InUseError, match=str(stage.folder)):
        stage.write_config()
    assert (stage.folder / "config.yaml").read_text() == "kept: true\n" != before


def test_record_is_json_with_absolute_folders(recipe_file: Path) -> None:
    record = json.loads(json.dumps(plan_of(recipe_file).record().plain()))
    assert record["recipe"] == "small" and record["setting"] == "reward_modeling"
    assert record["weak_model"] == "models/weak" and record["seeds"] == [0, 1]
    assert record["methods"] == ["naive", "logconf"] and record["supervisor"] == "model"
    assert all(Path(stage["folder"]).is_absolute() for stage in record["stages"])
    names = [Path(stage["folder"]).name for stage in record["stages"]]
    # Each after what it reads: the edges of the graph.
    assert all(set(stage["needs"]) <= set(names[:place]) for place, stage in enumerate(record["stages"]))
    assert sum(len(stage["needs"]) for stage in record["stages"]) > len(names)


@pytest.mark.parametrize(
    ("spec", "label"),
    [
        (ModelSpec(model_name_or_path="Qwen/Qwen2.5-7B"), "Qwen/Qwen2.5-7B"),
        (ModelSpec(model_name_or_path="/a/b/c/d"), "c/d"),
        (ModelSpec(model_name_or_path="package:minilm/model"), "minilm"),
        (ModelSpec(model_name_or_path="x", train={"model_init_kwargs": {"num_hidden_layers": 1}}), "x (1 layer)"),
        (ModelSpec(model_name_or_path="x", train={"model_init_kwargs": {"num_hidden_layers": 2}}), "x (2 layers)"),
        (ModelSpec(labels="some/people.csv"), "people.csv"),
        (ModelSpec(pretrain={"hidden_size": 32, "num_hidden_layers": 2}), "pretrained 2x32"),
    ],
)
def test_model_label(spec: ModelSpec, label: str) -> None:
    assert model_label(spec) == label


def test_large_weights_that_differ_in_the_middle_are_another_model(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    content = bytearray(12 << 20)
    file.write_bytes(content)
    before = model_version(str(tmp_path), "main")
    middle = len(content) // 2
    content[middle : middle + (1 << 18)] = b"\1" * (1 << 18)
    file.write_bytes(content)
    assert model_version(str(tmp_path), "main") != before


def label_task(recipe: Path, form: str = "binary") -> str:
    """Override that asks for classes, or for answers without a fixed meaning."""
    file = recipe.parent / "questions.jsonl"
    rows = [{"question": f"q{n}", "choices": [f"a{n}", f"b{n}", f"c{n}"], "label": n % 3} for n in range(60)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return f"task={{name: multiple_choice, form: {form}, path: {file}}}"


def test_the_first_head_that_fits_the_task_is_taken(recipe_file: Path) -> None:
    def encoding(*overrides: str) -> tuple[str, str, list[str] | None]:
        plan = plan_of(recipe_file, *overrides)
        found = {
            (stage.config()["setting"], stage.config()["head"], tuple(stage.config().get("classes") or ()))
            for stage in plan.stages
            if stage.kind != "prepare"
        }
        ((setting, head, classes),) = found
        assert plan.record().head == head and plan.record().setting == setting
        return setting, head, list(classes) or None

    assert encoding() == ("reward_modeling", "reward", None)
    assert encoding(label_task(recipe_file)) == ("classification", "classification", [" no", " yes"])
    assert encoding(label_task(recipe_file, "choice")) == ("classification", "reward", None)
    assert encoding(label_task(recipe_file), "head=lm") == ("classification", "lm", [" no", " yes"])
    assert encoding("task={name: mate_in_one}") == ("chess", "lm", None)
    assert encoding("task={name: mate_in_one}", "head=reward") == ("chess", "reward", None)


def test_a_head_that_does_not_fit_is_refused(recipe_file: Path) -> None:
    with pytest.raises(ConfigError, match="head classification needs fixed classes.*multiple_choice.*reward or lm"):
        plan_of(recipe_file, label_task(recipe_file, "choice"), "head=classification")


def test_another_head_is_another_training_of_the_same_data(recipe_file: Path) -> None:
    task = label_task(recipe_file)
    assert changed(recipe_file, "head=reward", base=(task,)) == EVERYTHING - {"prepare"}
    assert changed(recipe_file, "head=classification", base=(task,)) == set(), "the default spelled out is the same"


def test_zero_shot_is_the_untrained_strong_model(recipe_file: Path) -> None:
    task, strong = label_task(recipe_file), recipe_file.parent / "models" / "strong"
    plan = plan_of(recipe_file, task, "head=lm", "strong.use_peft=true", "strong.dtype=float32", "train.max_length=99")
    (zero,) = [stage for stage in plan.stages if stage.of == "zero_shot"]
    assert (zero.kind, zero.seed, zero.method, zero.title) == ("evaluate", None, None, "evaluate zero_shot")
    assert zero.config()["model_name_or_path"] == str(strong)
    assert Path(zero.config()["examples"]).stem == "test" and zero.config()["max_length"] == 99
    # It is scored as the students are, whose adapters are merged.
    assert zero.config()["dtype"] == "float32" and "use_peft" not in zero.config() and "loss" not in zero.config()
    assert [row for row in plan.record().plain()["stages"] if row["of"] == "zero_shot"] == [
        {
            "stage": "evaluate",
            "of": "zero_shot",
            "method": None,
            "seed": None,
            "policy": None,
            "further": None,
            "folder": str(zero.folder),
            "title": "evaluate zero_shot",
            "needs": tuple(needed.folder.name for needed in zero.needs),
        }
    ]
    for override in ("head=classification", "head=reward"):
        assert not [stage for stage in plan_of(recipe_file, task, override).stages if stage.of == "zero_shot"]


def test_zero_shot_depends_on_model_and_data_alone(recipe_file: Path) -> None:
    base = (label_task(recipe_file), "head=lm")
    for override in ("strong.lora_r=4", "train.learning_rate=1", "weak.train.max_length=64", "seeds=[0, 1]"):
        assert "evaluate zero_shot" not in changed(recipe_file, override, base=base), override
    for override in ("train.max_length=64", "strong.dtype=bfloat16", "strong.model_revision=x"):
        assert "evaluate zero_shot" in changed(recipe_file, override, base=base), override


def test_zero_shot_needs_ground_truth_and_not_a_weak_model(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = label_task(recipe_file)
    (recipe_file.parent / "labels.csv").write_text("id\n")
    weak = f"weak={{labels: {recipe_file.parent}/labels.csv}}"
    titles = [stage.title for stage in plan_of(recipe_file, task, "head=lm", weak).stages]
    assert titles[:4] == ["prepare", "relabel", "evaluate weak", "evaluate zero_shot"]
    monkeypatch.setattr("w2s_rm.tasks.multiple_choice.MultipleChoice.has_ground_truth", property(lambda self: False))
    assert "evaluate zero_shot" not in [stage.title for stage in plan_of(recipe_file, task, "head=lm", weak).stages]


def test_classes_in_a_setting_that_knows_none(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("w2s_rm.tasks.world_preference.WorldPreference.classes", property(lambda self: (" a", " b")))
    with pytest.raises(ConfigError, match="task world_preference has classes, but setting reward_modeling knows no"):
        plan_of(recipe_file, "task={name: world_preference}")


@pytest.mark.parametrize(
    ("task", "corpus", "text"),
    [
        ("{name: mate_in_one, seed: 1}", "{name: chess_endgames}", "seed is 0 there and 1 in task"),
        (
            "{name: mate_in_one}",
            "{name: chess_endgames, pieces: [Q]}",
            "pieces is ['Q'] there and ['Q', 'R', 'QR'] in task",
        ),
        ("{name: world_classification, world_seed: 2}", "{name: facts}", "world_seed is 0 there and 2 in task"),
        ("{name: world_preference}", "{name: facts, n_entities: 20}", "n_entities is 20 there and 48 in task"),
        ("{name: world_preference}", "{name: chess_endgames}", "corpus chess_endgames is of none"),
    ],
)
def test_models_of_another_world_are_refused(recipe_file: Path, task: str, corpus: str, text: str) -> None:
    models = [f"{role}={{pretrain: {{corpus: {corpus}}}}}" for role in ("weak", "strong")]
    with pytest.raises(ConfigError) as raised:
        plan_of(recipe_file, f"task={task}", *models)
    said = str(raised.value)
    for role in ("weak", "strong"):
        place = f"command line: {role}.pretrain.corpus: the model knows another world than the task asks about: {text}"
        assert place in said and said.count(f"{text}; give both the same") == 2


def test_a_model_of_another_world_is_named_with_its_line(recipe_file: Path) -> None:
    content = {**yaml.safe_load(recipe_file.read_text(encoding="utf-8")), "task": {"name": "world_preference"}}
    content |= {"weak": {"pretrain": {"hidden_size": 8}}, "strong": {"pretrain": {"steps": 3}}}
    content["task"]["n_entities"] = 12
    recipe_file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    # Without a corpus it is the default one, of 48 entities.
    line = 1 + recipe_file.read_text(encoding="utf-8").splitlines().index("weak:") + 1
    with pytest.raises(ConfigError, match=rf"line {line}: weak.pretrain: the model knows another world .*12 in task"):
        plan_of(recipe_file)


def test_a_word_that_no_model_has_read_is_refused(recipe_file: Path) -> None:
    facts = [f"{role}={{pretrain: {{corpus: {{name: facts}}}}}}" for role in ("weak", "strong")]
    task = "task={name: world_preference, n_train: 8, n_test: 4, unchecked: 0.5}"
    with pytest.raises(ConfigError, match="command line: task.unchecked: puts a word before questions that no model"):
        plan_of(recipe_file, task, *facts)
    further = "also_evaluate=[{name: world_preference, as: other, n_test: 4, unchecked: 0.5}]"
    with pytest.raises(ConfigError, match=r"command line: also_evaluate.0.unchecked: puts a word"):
        plan_of(recipe_file, task.replace(", unchecked: 0.5", ""), further, *facts)
    # The supervisor may not know it.
    assert plan_of(recipe_file, task, facts[0], facts[1].replace("facts", "unchecked"))


def test_a_corpus_is_known_by_its_content(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("W2S_RM_CACHE", str(recipe_file.parent / "cache"))
    games = recipe_file.parent / "games.txt"
    games.write_text("e2e4 e7e5\n" * 3)

    def pretrained(path: Path) -> tuple[str, str]:
        strong = f"strong={{pretrain: {{corpus: {{name: chess_games, path: {path}, n_heldout: 1}}}}}}"
        stages = plan_of(recipe_file, strong).stages
        (stage,) = [stage for stage in stages if stage.kind == "pretrain"]
        return stage.folder.name, stage.config()["pretrain"]["corpus"]["path"]

    before = pretrained(games)
    assert before[1] == str(games)
    games.rename(recipe_file.parent / "moved.txt")
    moved = pretrained(recipe_file.parent / "moved.txt")
    assert moved[0] == before[0] and moved[1].endswith("moved.txt")
    (recipe_file.parent / "moved.txt").write_text("d2d4 d7d5\n" * 3)
    assert pretrained(recipe_file.parent / "moved.txt")[0] != before[0]
    with pytest.raises(ConfigError, match="games.txt: no such file"):
        pretrained(games)
