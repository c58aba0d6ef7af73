"""What every supervisor keeps, whatever it does: a new file in `supervisors/` is picked up by itself."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import yaml

from w2s_rm import catalog, options
from w2s_rm.roles import LABELS, STUDENT, WEAK
from w2s_rm.stages import Labels, Model, Stage
from w2s_rm.supervisors import Supervision, Supervisor

NAMES = catalog.names("supervisors")
# Options of each, where it needs some.
GIVEN: dict[str, dict[str, Any]] = {
    "chain": {"models": ["medium"]},
    "debate": {"endpoint": {"url": "http://localhost:8000/v1", "model": "big"}, "transcripts": 2},
    "ensemble": {"seeds": 2},
    "file": {"path": "labels.jsonl"},
    "mixture": {"n_true": 3},
    "simulated": {"accuracy": 0.75, "errors": "hard"},
}
SPLITS = ("relabel", "validation", "test")


def mapping(name: str, folder: Path) -> dict[str, Any]:
    given = GIVEN.get(name, {})
    return {"name": name, **given, **({"path": str(folder / given["path"])} if "path" in given else {})}


@pytest.fixture(params=NAMES)
def given(request: pytest.FixtureRequest, bench: Any) -> dict[str, Any]:
    return mapping(request.param, bench.recipe.parent)


@pytest.fixture
def supervisor(given: dict[str, Any]) -> Supervisor:
    return options.build("supervisors", given)


def everything(supervision: Supervision) -> list[Stage]:
    return [label.maker for split in SPLITS if (label := supervision.label(split)).maker] + list(supervision.judged)


def test_the_catalog_holds_the_supervisors_of_the_documentation() -> None:
    assert {"chain", "debate", "ensemble", "file", "mixture", "model", "opposed", "simulated", "trained"} <= set(NAMES)


def test_is_a_frozen_dataclass_with_the_signature_of_the_protocol(supervisor: Supervisor) -> None:
    assert dataclasses.is_dataclass(supervisor)
    with pytest.raises(dataclasses.FrozenInstanceError):
        supervisor.anything = 1  # type: ignore[attr-defined]
    assert inspect.signature(type(supervisor).supervise) == inspect.signature(Supervisor.supervise)
    assert isinstance(type(supervisor).needs_truth, bool)
    assert pickle.loads(pickle.dumps(supervisor)) == supervisor
    hash(supervisor)


def test_docstring_names_every_option_and_whether_it_may_be_left_out(supervisor: Supervisor) -> None:
    text = inspect.getdoc(type(supervisor)) or ""
    for field in dataclasses.fields(supervisor):  # type: ignore[arg-type]
        (line,) = [line for line in text.splitlines() if line.strip().startswith(f"{field.name} (`")]
        assert ("*optional*" in line) == (not options.is_required(field))


def test_options_round_trip_through_yaml(given: dict[str, Any], supervisor: Supervisor) -> None:
    written = yaml.safe_load(yaml.safe_dump(dataclasses.asdict(supervisor)))  # type: ignore[call-overload]
    assert options.build("supervisors", {"name": given["name"], **written}) == supervisor


def test_a_misspelt_option_is_told(given: dict[str, Any]) -> None:
    (mistake,) = options.mistakes("supervisors", {**given, "optoin": 1})
    assert mistake.path == ("optoin",) and f"unknown option of supervisor {given['name']}; " in mistake.text


def test_supervise_is_pure(bench: Any, supervisor: Supervisor) -> None:
    route = bench.route()
    first, second = (everything(supervisor.supervise(route, 0, "own")) for _ in range(2))
    assert [stage.hash for stage in first] == [stage.hash for stage in second]
    apart = everything(supervisor.supervise(bench.route(), 0, "own"))
    assert [stage.config() for stage in first] == [stage.config() for stage in apart]
    for_all = everything(supervisor.supervise(route, 0))
    assert [stage.hash for stage in first] == [stage.hash for stage in for_all], "whose it is changes no result"


def test_another_seed_has_other_labels_unless_nothing_is_left_to_chance(
    bench: Any, given: dict[str, Any], supervisor: Supervisor
) -> None:
    zero, one = (supervisor.supervise(bench.route(), seed).label("relabel").identity for seed in (0, 1))
    assert (zero == one) == (given["name"] in ("file", "trained"))


def test_every_split_has_labels_of_its_own(bench: Any, supervisor: Supervisor) -> None:
    route = bench.route()
    supervision = supervisor.supervise(route, 0)
    found = {split: supervision.label(split) for split in SPLITS}
    assert all(isinstance(labels, Labels) and labels.maker is not None for labels in found.values())
    assert len({labels.identity for labels in found.values()}) == len(SPLITS)
    for split, labels in found.items():
        assert labels.maker.references["examples"] == route.examples(split)  # type: ignore[union-attr]
        assert Path(labels.path).parent == labels.maker.folder  # type: ignore[union-attr]


def test_is_judged_on_the_test_split_as_the_supervisor(bench: Any, supervisor: Supervisor) -> None:
    route = bench.route()
    supervision = supervisor.supervise(route, 0, "own")
    (judged,) = supervision.judged
    assert judged.judges and judged.of == WEAK and judged.method == "own"
    assert judged.references["examples"] == route.examples("test")
    what = judged.references.get("model_name_or_path", judged.references.get("labels"))
    if supervision.model is not None:
        assert isinstance(supervision.model, Model)
        assert what == supervision.model
        assert supervision.label("relabel").maker is not None


def test_no_test_example_leads_to_the_labels_of_students(bench: Any, supervisor: Supervisor) -> None:
    route = bench.route()
    label = supervisor.supervise(route, 0).label("relabel")

    def read(stage: Stage) -> set[str]:
        own = {one.path for one in stage.references.values()}
        return own.union(*(read(needed) for needed in stage.needs))

    assert label.maker is not None
    known = read(label.maker)
    # A file may hold labels of any example, and says which of them are of others.
    others = {one.path for name, one in label.maker.references.items() if name.startswith("other_examples")}
    assert not {route.examples("test").path, route.examples("validation").path} & (known - others)


def test_every_reference_is_made_by_a_stage_that_stands_before(bench: Any, given: dict[str, Any]) -> None:
    made: set[str] = set()
    plan = bench.own(**given)
    for stage in plan.stages:
        for name, reference in stage.references.items():
            if reference.maker is not None:
                assert reference.maker.hash in made, f"{stage.title} reads {name} before it is made"
                assert Path(reference.path).is_relative_to(reference.maker.folder)
                assert reference.identity.startswith(reference.maker.hash)
        made.add(stage.hash)


def test_the_student_is_trained_on_its_labels(bench: Any, given: dict[str, Any], supervisor: Supervisor) -> None:
    plan = bench.own(**given)
    student = bench.only(plan, kind="train", of=STUDENT, method="own")
    wanted = supervisor.supervise(bench.route(), 0, "own").label("relabel")
    assert student.references["labels"].identity == wanted.identity
    assert bench.only(plan, of=LABELS, method="own").hash == wanted.maker.hash  # type: ignore[union-attr]
    assert bench.only(plan, kind="evaluate", of=WEAK, method="own").hash in {
        stage.hash for stage in supervisor.supervise(bench.route(), 0, "own").judged
    }


def test_a_report_finds_supervisor_labels_and_student(bench: Any, given: dict[str, Any]) -> None:
    plan = bench.own(**given)
    run = plan.record()
    for of, stage in ((WEAK, "evaluate"), (STUDENT, "evaluate"), (LABELS, None)):
        found = run.find(stage, of, "own", 0)
        assert found is not None and found.method == "own"
    naive = run.find("evaluate", WEAK, "naive", 0)
    assert naive is not None and naive.method is None


def test_two_methods_with_it_share_all_but_their_students(bench: Any, given: dict[str, Any]) -> None:
    one = bench.own(**given)
    second = {"loss": {"name": "cross_entropy"}, "supervisor": given}
    two = bench.plan(f"methods.own.supervisor={json.dumps(given)}", f"methods.second={json.dumps(second)}")
    before = [{stage.folder for stage in plan.stages if stage.of != STUDENT} for plan in (one, two)]
    assert before[0] == before[1]


def test_without_ground_truth_only_those_that_need_none_are_planned(bench: Any, given: dict[str, Any]) -> None:
    supervisor = catalog.lookup("supervisors", given["name"])
    assert supervisor.needs_truth == (given["name"] not in ("file", "trained"))


def test_files_are_found_by_name(given: dict[str, Any], supervisor: Supervisor) -> None:
    assert type(supervisor).__module__ == f"w2s_rm.supervisors.{given['name']}"
