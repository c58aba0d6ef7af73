"""The stages of a recipe: all that its reports read, and what leads there."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm import options
from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.experiment.evaluation_route import refuse_evaluations
from w2s_rm.experiment.feature_route import saliency_of
from w2s_rm.experiment.further_route import evaluated_on
from w2s_rm.experiment.open_route import open_route
from w2s_rm.experiment.recipe import ModelSpec, Recipe
from w2s_rm.experiment.route import Route
from w2s_rm.features.options import ANNOTATIONS
from w2s_rm.heads import HEADS
from w2s_rm.labels import LabelTransform, check_transforms
from w2s_rm.labels.agree import Agree
from w2s_rm.roles import CEILING, INTERMEDIATE, LABELS, STUDENT, WEAK, ZERO_SHOT
from w2s_rm.runs.plan import PlannedStage, Policies, Run, TestedTask
from w2s_rm.settings import find_setting
from w2s_rm.stages import Examples, Labels, Stage
from w2s_rm.stages.choice import Choice
from w2s_rm.stages.combine import Combine
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.simulate import Simulate
from w2s_rm.stages.transform import Transform
from w2s_rm.supervisors import Supervision, Supervisor
from w2s_rm.training.pretraining import Pretraining, pretrained_by


@dataclass(frozen=True)
class Plan:
    """The stages of a recipe in an order in which each finds its inputs.

    Args:
        recipe ([`Recipe`]): What was planned.
        stages (`list[Stage]`): Without repetition.
        run_folder (`Path`): `runs/<recipe>`.
        head (`str`): How its models score candidates.
        sizes (`tuple[int | None, int | None]`): Of weak and strong model, as [`~w2s_rm.experiment.route.Route`] has
            them.
    """

    recipe: Recipe
    stages: list[Stage]
    run_folder: Path
    head: str
    sizes: tuple[int | None, int | None]

    def record(self) -> Run:
        """Return what reports need to know of the plan: the content of `plan.json`."""
        recipe, policy = self.recipe, self.recipe.policy
        return Run(
            recipe=recipe.name,
            setting=recipe.task().setting,
            task=recipe.task_label,
            head=self.head,
            weak_model=model_label(recipe.weak),
            strong_model=model_label(recipe.strong),
            supervisor="labels" if recipe.weak.labels else "model",
            seeds=recipe.seeds,
            methods=tuple(recipe.methods),
            compare_to=recipe.compare_to,
            stages=tuple(map(_planned, self.stages)),
            policies=None
            if policy is None
            else Policies(model_label(policy.model), tuple(policy.methods), policy.samples),
            tested=self._tested(),
            weak_size=self.sizes[0],
            strong_size=self.sizes[1],
        )

    def _tested(self) -> tuple[TestedTask, ...]:
        # Seeds that draw splits of their own prepare the same data, so that any of these stages tells its source.
        sources = {stage.further: stage.source for stage in self.stages if isinstance(stage, Prepare)}
        own = TestedTask(self.recipe.task_label, self.recipe.task_name, sources[None])
        return (own, *(TestedTask(task.label, task.name, sources[task.label]) for task in self.recipe.also_evaluate))


def _planned(stage: Stage) -> PlannedStage:
    return PlannedStage(
        stage=stage.kind,
        of=stage.of,
        method=stage.method,
        seed=stage.seed,
        folder=stage.folder,
        policy=stage.policy,
        further=stage.further,
        title=stage.title,
        needs=tuple(needed.folder.name for needed in stage.needs),
    )


def model_label(spec: ModelSpec) -> str:
    """Return a short name of a model for tables: the last parts of its path, or the shape of one pretrained here."""
    if spec.labels:
        return Path(spec.labels).name
    if spec.pretrain is not None:
        pretraining = Pretraining(**pretrained_by(spec.pretrain, 0))
        return f"pretrained {pretraining.num_hidden_layers}x{pretraining.hidden_size}"
    name = str(spec.model_name_or_path)
    in_package = name.startswith("package:")
    short = name.removeprefix("package:").split("/")[0] if in_package else "/".join(name.split("/")[-2:])
    layers = dict(spec.train.get("model_init_kwargs") or {}).get("num_hidden_layers")
    return f"{short} ({layers} layer{'s' if layers != 1 else ''})" if layers else short


def make_plan(recipe: Recipe, runs_folder: Path) -> Plan:
    """Plan a recipe.

    Args:
        recipe ([`Recipe`]): The checked recipe.
        runs_folder (`Path`): Where runs are kept, usually `runs`.

    Raises:
        ConfigError: A path of the recipe does not exist, the recipe needs ground truth that its task lacks, or a
            training has fewer steps than evaluations.
    """
    if runs_folder.exists() and not runs_folder.is_dir():
        raise ConfigError(f"--runs {runs_folder}: is a file; name a folder")
    needy = [name for name, supervisor in _supervisors(recipe).items() if supervisor.needs_truth]
    if needy and not recipe.task().has_ground_truth:
        # That of the part `weak` has no place among the methods.
        own = [name for name in needy if recipe.methods[name].supervisor is not None]
        place = f"{recipe.place('methods', own[0])}: supervisor: " if own == needy else ""
        remedy = "name another supervisor" if place else "set weak.labels to a file of labels"
        raise ConfigError(
            f"{place}task {recipe.task_name} has no ground truth to train a weak model on; {remedy}, or "
            f"{'one of the kind trained' if place else 'weak.trained: true'} for a model that is a reward model already"
        )
    route = open_route(recipe, runs_folder.resolve())
    # Mistakes in data and label files show before anything slow begins.
    stages = sorted(in_order(_with_further(route, _goals(route))), key=lambda stage: stage.follows_model)
    if recipe.tune and not any(isinstance(stage, Choice) for stage in stages):
        raise ConfigError(
            f"{recipe.place('tune')}: chooses nothing: with all values of {', '.join(recipe.tune)} every model is the "
            "same; on features, give lists of layer and l2 under train, or tune fields of losses"
        )
    refuse_evaluations(recipe, stages)
    sizes = (None if recipe.weak.labels else route.size("weak"), route.size("strong"))
    return Plan(recipe, stages, route.runs / recipe.name, route.encoding["head"], sizes)


def _supervisors(recipe: Recipe) -> dict[str, Supervisor]:
    """The supervisor of each method: its own, or the one that the part `weak` describes, which is one object."""
    weak, entry = recipe.weak, {"name": "trained" if recipe.weak.trained else "model"}
    shared = options.build("supervisors", {"name": "file", "path": weak.labels} if weak.labels else entry)
    return {
        name: shared if method.supervisor is None else options.build("supervisors", method.supervisor)
        for name, method in recipe.methods.items()
    }


def _goals(common: Route) -> Iterator[Stage]:
    """What the reports of a recipe read; all other stages lead to one of these."""
    routes = {seed: common.of_seed(seed) for seed in common.recipe.seeds}
    # Pretrained and converted models first: most stages wait for them.
    yield from (base.maker for route in routes.values() for base in route.bases.values() if base.maker is not None)
    if common.has_truth and HEADS[common.encoding["head"]].writes:
        # An untrained model is scored once, unless each seed has pretrained its own.
        by_seed = len({route.base("strong").identity for route in routes.values()}) > 1
        for seed, route in routes.items():
            # Scored as the student is, merged and in full: neither quantised nor with an adapter.
            yield route.evaluate(ZERO_SHOT, route.base("strong"), seed=seed if by_seed else None, as_given=True)
    supervisors, refused = _supervisors(common.recipe), _Refused(common.recipe)
    for seed, route in routes.items():
        yield route.prepared
        shared: Supervision | None = None
        for method, supervisor in supervisors.items():
            with refused.collected(method):
                if route.recipe.methods[method].supervisor is not None:
                    supervision = supervisor.supervise(route, seed, method)
                    yield from _of_supervisor(route, supervision, seed, method)
                # The first method without a supervisor of its own plans the common one; all others of them take that.
                elif shared is None:
                    supervision = shared = supervisor.supervise(route, seed)
                    yield from _of_supervisor(route, supervision, seed, None)
                else:
                    supervision = shared
                yield from _of_method(route, supervision, seed, method)
        # Of each seed the same methods are refused.
        refused.tell()
        if route.has_truth:
            ceiling = route.train(CEILING, seed).model
            yield route.evaluate(CEILING, ceiling, seed=seed)
            yield from route.policies(CEILING, ceiling, seed=seed)


def _with_further(route: Route, goals: Iterable[Stage]) -> Iterator[Stage]:
    """The same evaluations on each further task of the recipe, after each."""
    for stage in goals:
        yield stage
        if isinstance(stage, Evaluate):
            elsewhere = (evaluated_on(stage, route.examples("test"), further) for further in route.further)
            yield from filter(None, elsewhere)


class _Refused:
    """Collects why methods cannot be planned, each with its place in the recipe.

    Args:
        recipe ([`~w2s_rm.experiment.recipe.Recipe`]): The recipe.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._places: dict[str, str] = {}

    @contextlib.contextmanager
    def collected(self, method: str) -> Iterator[None]:
        """Go on with the next method where this one cannot be planned."""
        try:
            yield
        except ConfigError as error:
            # What several methods have in common, and each of their seeds, is said of the first.
            self._places.setdefault(str(error), self._recipe.place("methods", method))

    def tell(self) -> None:
        """Raise all that was collected, in one message."""
        problems = [f"{place}: {text}" for text, place in self._places.items()]
        if len(problems) == 1:
            raise ConfigError(problems[0])
        if problems:
            raise ConfigError(join_problems(f"recipe {self._recipe.name} cannot be planned:", problems))


def _of_supervisor(route: Route, supervision: Supervision, seed: int, method: str | None) -> Iterator[Stage]:
    # A method with a supervisor of its own has this role for the labels of its last round, in `_of_method`.
    if method is None:
        yield _labelling(supervision.label("relabel"), None)
    yield from supervision.judged
    if route.recipe.saliency is not None:
        yield saliency_of(route, supervision, route.recipe.saliency, seed, method)
    if supervision.model is not None:
        yield from route.policies(WEAK, supervision.model, seed=seed, method=method)


def _labelling(labels: Labels, method: str | None) -> Stage:
    """The stage that makes what students are trained on, in that role: reports look for one of a method and seed."""
    assert labels.maker is not None
    # The same folder, for neither field is in the hash: `in_order` keeps one stage for each role.
    return dataclasses.replace(labels.maker, of=LABELS, method=method)


def _of_method(route: Route, supervision: Supervision, seed: int, name: str) -> Iterator[Stage]:
    """The student of a method, and the ceiling that is prepared as it was where the common one was not."""
    method, label = route.recipe.methods[name], supervision.label
    for number in range(method.rounds):
        labels, examples = _transformed(route, name, label, seed)
        note = f"round {number + 1}" if number + 1 < method.rounds else None
        of = STUDENT if note is None else INTERMEDIATE
        student = route.train(
            STUDENT,
            seed,
            part=method.model,
            method=name,
            examples=examples,
            labels=labels,
            # As the supervisor says it: what transforms take away cannot be missing where nothing is trained.
            validation=label("validation"),
            note=note,
        )
        # Planned as a student, for it has the loss and the options of one; in rounds before the last it is no result.
        student = dataclasses.replace(student, of=of)
        # From here on the student is the supervisor, of every split that is asked for.
        label = functools.partial(route.relabel, student.model, seed=seed, part=method.model, note=f"by {name}")
    if method.supervisor is not None or method.labels or method.rounds > 1:
        # Those of the last round: what transforms and earlier rounds made of the supervisor's leads there.
        yield _labelling(labels, name)
    yield route.evaluate(STUDENT, student.model, seed=seed, part=method.model, method=name)
    yield from route.policies(STUDENT, student.model, seed=seed, method=name)
    own_features = not ANNOTATIONS.keys().isdisjoint(method.train)
    # A PGR divides by the gap to a ceiling that had what the student had; where that is the common one, none is
    # planned.
    if route.has_truth and (method.before or method.model != "strong" or own_features):
        ceiling = route.train(CEILING, seed, part=method.model, method=name).model
        yield route.evaluate(CEILING, ceiling, seed=seed, part=method.model, method=name)


def _transformed(route: Route, name: str, label: Callable[[str], Labels], seed: int) -> tuple[Labels, Examples | None]:
    """The labels of a method and the examples that have one; all of the split where nothing is transformed."""
    labels, method = label("relabel"), route.recipe.methods[name]
    if not method.labels:
        return labels, None
    transforms: list[LabelTransform] = [options.build("labels", entry) for entry in method.labels]
    check_transforms(transforms)
    needs = frozenset[str]().union(*(transform.needs for transform in transforms))
    at_least = route.batch_size(method.model, name)
    _check_needs(route, transforms, [str(entry["name"]) for entry in method.labels])
    _check_left(route, transforms, at_least)
    second = [transform.supervisor for transform in transforms if isinstance(transform, Agree)]
    if len(second) > 1:
        raise ConfigError("labels: agree stands twice; combine the supervisors in an ensemble, and agree with that")
    other = _second(route, second[0], seed, name).label("relabel") if second else None
    if other is not None and _names_the_same(other, labels):
        raise ConfigError("labels: agree: the second supervisor is the first one, and always agrees; name another")
    transform = Transform(
        runs=route.runs,
        examples=route.examples("relabel"),
        labels=labels,
        transforms=list(method.labels),
        validation=label("validation") if "validation" in needs else None,
        validation_examples=route.examples("validation") if "validation" in needs else None,
        other=other,
        classes=route.encoding["classes"],
        seed=seed,
        at_least=at_least,
    )
    return transform.weak_labels, transform.kept


def _check_needs(route: Route, transforms: Sequence[LabelTransform], names: Sequence[str]) -> None:
    """Refuse transforms that the task or its data do not have anything for, all in one message."""
    classes, setting = route.encoding["classes"], str(route.encoding["setting"])
    validated = route.recipe.sizes.get("n_validation") and route.has_truth
    lacking = {
        "classes": None
        if classes is not None
        else "needs fixed classes, and the candidates of this task have no fixed meaning; leave it out",
        "places": None
        if find_setting(setting).steps
        else f"needs solutions in steps, and setting {setting} has none; use a task of the setting process, or leave "
        "it out",
        "validation": None
        if validated
        else "is fitted to labels of validation examples with ground truth, and there are none; set "
        "task.n_validation, or give it its value",
    }
    wrong = []
    for name, transform in zip(names, transforms, strict=True):
        wrong += [f"labels: {name}: {text}" for need, text in lacking.items() if need in transform.needs and text]
        if classes is not None:
            transform.check_classes(tuple(classes))
    if wrong:
        raise ConfigError("; ".join(wrong))


def _check_left(route: Route, transforms: Sequence[LabelTransform], at_least: int) -> None:
    """Refuse transforms that leave less than a batch, where the size of the split is known."""
    n_labels = left = route.n_relabelled
    if left is None:
        return
    for transform in transforms:
        left = transform.most_left(left)
    if left < at_least:
        raise ConfigError(
            f"labels: of {n_labels} labels {left} are left at most, fewer than a batch of {at_least}; keep more of "
            "them, raise task.n_train, or make the batch smaller"
        )


def _names_the_same(one: Labels, other: Labels) -> bool:
    """Whether two supervisors name the same candidate of each example, however sure they are of it."""
    return _choices(one) == _choices(other)


def _choices(labels: Labels) -> object:
    """What identifies the candidates that labels name."""
    maker = labels.maker
    if isinstance(maker, Simulate):
        return dataclasses.replace(maker, confidence=None).hash
    if isinstance(maker, Combine):
        # Together they say the same in any order.
        return maker.how, sorted(member.identity for member in maker.members)
    return labels.identity


def _second(route: Route, entry: Mapping[str, Any] | str, seed: int, method: str) -> Supervision:
    supervisor: Supervisor = options.build("supervisors", entry)
    if supervisor.needs_truth and not route.has_truth:
        raise ConfigError(
            "labels: agree: the task has no ground truth, which the second supervisor needs; name a file of labels, "
            "or a model that is trained already"
        )
    return supervisor.supervise(route, seed, method)


def in_order(goals: Iterable[Stage]) -> list[Stage]:
    """List stages and all that they need, each after what it reads.

    Of several that share a folder the first stands for all, but those that reports look for stand once in each role,
    one beside the other. What is a model of its own for one method may be a step for another: it stands as the former.

    Args:
        goals (`Iterable[Stage]`): Stages that nothing else need read.
    """
    by_folder: dict[Path, dict[tuple[Any, ...] | None, Stage]] = {}
    for stage in itertools.chain.from_iterable(_after_needs(goal, by_folder) for goal in goals):
        # A stage that no report looks for has no role: the first of its folder stands for all.
        role = (stage.of, stage.method, stage.policy, stage.seed) if stage.reported else None
        same = by_folder.setdefault(stage.folder, {})
        # Of what computes the same, the role that a reader knows gives the title.
        if role not in same or (same[role].of == INTERMEDIATE and stage.of != INTERMEDIATE):
            same[role] = stage
    ordered = []
    for stages in by_folder.values():
        reported = [stage for role, stage in stages.items() if role is not None]
        # Where a report looks for a stage in some role, the entry without one is the same folder once more.
        ordered += reported or list(stages.values())
    return ordered


def _after_needs(goal: Stage, done: Container[Path]) -> Iterator[Stage]:
    """A stage after all that it needs and that is not done. Not by recursion: rounds make it as deep as one likes."""
    waiting = [(goal, False)]
    while waiting:
        stage, needs_done = waiting.pop()
        # Stages are told apart by folder: two that compute the same are one.
        if needs_done or stage.folder in done:
            yield stage
        else:
            waiting.append((stage, True))
            waiting += [(needed, False) for needed in reversed(list(stage.needs))]
