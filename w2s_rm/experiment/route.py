"""From a recipe to stages: each method builds one, and whoever composes them holds what it returns.

A stage refers to what it reads, so a plan is whatever its last stages lead back to: nothing is registered anywhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from w2s_rm import options
from w2s_rm.data.splits import drawn_by
from w2s_rm.errors import ConfigError, nearest
from w2s_rm.experiment.evaluation_route import evaluated
from w2s_rm.experiment.feature_route import (
    assembled,
    layer_count,
    probe_in_place_of,
    probe_of,
    read_alike,
    token_states,
)
from w2s_rm.experiment.further_route import Further
from w2s_rm.experiment.pretrain_route import pretrained
from w2s_rm.experiment.recipe import Method, ModelSpec, Recipe
from w2s_rm.experiment.tuning import Trial, choose, trials
from w2s_rm.features.options import ANNOTATIONS, part_features
from w2s_rm.preparations import Preparation
from w2s_rm.roles import CEILING, STUDENT, WEAK, ZERO_SHOT
from w2s_rm.runs.launch import Launch
from w2s_rm.runs.places import model_size
from w2s_rm.settings import find_setting
from w2s_rm.stages import Examples, Features, Labels, Model
from w2s_rm.stages.choice import Choice
from w2s_rm.stages.evaluate import Evaluate
from w2s_rm.stages.policy import Policy
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.probe import Probe
from w2s_rm.stages.relabel import Relabel
from w2s_rm.stages.train import Train
from w2s_rm.training.evaluations import overlaid, part_evaluations
from w2s_rm.training.pretraining import Pretraining, pretrained_by
from w2s_rm.training.trainer_options import WHOLE, batch_size, scoring

_PLAIN = Method({"name": "cross_entropy"})
# Trackers only where a recipe asks; of checkpoints the last one, which is there to go on from.
_EVERYWHERE = {"report_to": "none", "save_total_limit": 1}


@dataclass(frozen=True)
class Route:
    """Builds the stages of one recipe.

    Args:
        recipe ([`~w2s_rm.experiment.recipe.Recipe`]): The recipe.
        runs (`Path`): Where runs are kept.
        prepared ([`~w2s_rm.stages.prepare.Prepare`]): The stage that makes the examples.
        tested ([`~w2s_rm.stages.prepare.Prepare`]): The one whose test split is that of all seeds.
        further (`tuple[Further, ...]`): The tasks on which models are scored besides.
        encoding (`Mapping`): `setting`, `head` and `classes`: how examples become scores.
        bases (`Mapping[str, Model]`): What each part of the recipe starts from: `weak`, `strong`, `policy` and
            each of its `models`.
        launches (`Mapping[str, Launch]`): How the stages of each part are launched.
        has_truth (`bool`): Whether every example has a ground truth.
        shown (`Callable[[Examples], Examples]`, *optional*): How a model is shown the examples of a split, where not as
            they are: all that is trained, chosen and labelled on this route then reads what it returns, but for
            examples that are named. It is a seed's: to be set on the route of that seed.
    """

    recipe: Recipe
    runs: Path
    prepared: Prepare
    tested: Prepare
    further: tuple[Further, ...]
    encoding: Mapping[str, Any]
    bases: Mapping[str, Model]
    launches: Mapping[str, Launch]
    has_truth: bool
    shown: Callable[[Examples], Examples] | None = None

    def examples(self, split: str) -> Examples:
        """Refer to the examples of a split: `weak`, `relabel`, `validation`, `test` or `unused`."""
        # Of several draws all have one test split, so that it is one reference whichever seed asks.
        examples = (self.tested if split == "test" else self.prepared).examples(split)
        return examples if self.shown is None else self.shown(examples)

    def of_seed(self, seed: int) -> Route:
        """Return the route with what a seed has for itself, splits and pretrained models; where it has nothing, this.

        Args:
            seed (`int`): The seed.
        """
        sizes = drawn_by(self.recipe.sizes, seed)
        own = {
            part: pretrained(self.runs, part, spec.pretrain, self.launches[part], seed)
            for part, spec in self.recipe.models().items()
            # Where the seed makes no difference the common model stays, and with it one stage for all seeds.
            if spec.pretrain is not None and pretrained_by(spec.pretrain, seed) != spec.pretrain
        }
        # They differ where the recipe says `draw: by_seed`.
        drawn = sizes != self.recipe.sizes
        if not (own or drawn):
            return self
        prepared = dataclasses.replace(self.prepared, sizes=sizes, seed=seed) if drawn else self.prepared
        return dataclasses.replace(self, prepared=prepared, bases={**self.bases, **own})

    def base(self, part: str) -> Model:
        """Refer to what a part of the recipe starts from.

        Args:
            part (`str`): `weak`, `strong`, `policy`, or a name among the recipe's `models`.

        Raises:
            ConfigError: The recipe has no such part, or it is a file of labels.
        """
        if part == WEAK and self.recipe.weak.labels:
            raise ConfigError("weak is a file of labels in this recipe and no model; name one of its `models`")
        if part not in self.bases:
            raise ConfigError(f"no model {part!r} in this recipe; {nearest(part, list(self.bases))}")
        return self.bases[part]

    def train(
        self,
        of: str,
        seed: int,
        *,
        part: str | None = None,
        method: str | None = None,
        examples: Examples | None = None,
        labels: Labels | None = None,
        validation: Labels | None = None,
        note: str | None = None,
    ) -> Train | Probe | Choice:
        """Plan a training, and what prepares it; on the features of a frozen model where the recipe says so.

        Where the recipe tunes, each combination of values is planned as a recipe would be that has it, preparations
        included, and what comes back is the choice among them.

        Args:
            of (`str`): What the model is; it decides what it is trained on where nothing else is said.
            seed (`int`): Of the training.
            part (`str`, *optional*): The part of the recipe that describes it; `strong` for student and ceiling, else
                `weak`.
            method (`str`, *optional*): The method that it belongs to: a student has its loss and options, and student
                and ceiling are prepared as it says.
            examples ([`~w2s_rm.stages.Examples`], *optional*): What to train on; of student and ceiling the split
                `relabel`, else `weak`.
            labels ([`~w2s_rm.stages.Labels`], *optional*): What to train on in place of the truth.
            validation ([`~w2s_rm.stages.Labels`], *optional*): What gave these says of the validation split.
            note (`str`, *optional*): Tells it from others in lines of progress.

        Raises:
            ConfigError: The recipe's models cannot be trained so.
        """
        strong = of in (STUDENT, CEILING)
        part = part or ("strong" if strong else WEAK)
        base, named = self.base(part), self.recipe.methods[method] if method is not None else _PLAIN
        # Loss and options of a method are its student's; a ceiling of the method shares its preparations alone.
        own = named if of == STUDENT else _PLAIN
        # With `ceiling_split: weak` a ceiling is trained as that model would be as a supervisor: one stage is both.
        on_weak = not strong or (of == CEILING and self.recipe.ceiling_split == "weak")
        training = Train(
            **self.part_fields(part),
            **self.encoding,
            examples=examples or self.examples("weak" if on_weak else "relabel"),
            model_name_or_path=base,
            labels=labels,
            seed=seed,
            of=of,
            method=method,
            note=note,
            # It names a repository on the hub, which takes no blanks.
            run_name="-".join(filter(None, [self.recipe.name, of, method, note, f"seed{seed}"])).replace(" ", "_"),
        )
        # What is tuned may be of no account to some: what computes the same is one trial.
        planned: dict[str, tuple[Train | Probe, Trial]] = {}
        # Lists of the part stand in the places of the recipe's, whose order decides which of two equal trials comes
        # first.
        for trial in trials({**self.recipe.tune, **self.spec(part).tune}, own.loss):
            trained = self._trained(training, named, own, trial, validation)
            planned.setdefault(trained.hash, (trained, trial))
        trainings, tried = zip(*planned.values(), strict=True)
        return choose(self, trainings, tried, validation) if len(tried) > 1 else trainings[0]

    def _trained(
        self, training: Train, named: Method, own: Method, trial: Trial, validation: Labels | None
    ) -> Train | Probe:
        """A training with loss and options, prepared, or on features.

        Args:
            training: The rest of it.
            named: The method that it belongs to.
            own: That whose loss and options it has: of a student the same.
            trial: What is tuned.
            validation: What gave its labels says of the validation split.
        """
        part, strong = str(training.part), training.of in (STUDENT, CEILING)
        # Features are the method's, whoever is trained on them: a student's ceiling has the same to choose from.
        of_method = {name: value for name, value in named.train.items() if name in ANNOTATIONS}
        # The last wins: what the recipe says of all, of the model, of the method.
        features, others = part_features(overlaid(self.training_options(part), of_method, own.train))
        evaluations, others = part_evaluations(others)
        training = dataclasses.replace(
            training,
            loss={**own.loss, **trial.loss},
            options={**others, **trial.train, **self.spec(part).options},
        )
        # Student and ceiling alike, so that between the two only the labels differ.
        for entry in named.before if strong else ():
            preparation: Preparation = options.build("preparations", entry)
            training = preparation.prepare(self, training)
        if evaluations is not None:
            # Of what prepares a model nothing is reported.
            training = evaluated(training, self, evaluations, validation)
        # Last, for it has to see what preparations have put into the training, if only to refuse it.
        return training if features is None else probe_in_place_of(training, self, features, validation)

    def token_states(self, training: Train, layers: int) -> Features:
        """Plan the reading of what the last layers of a model read of the examples of a training.

        Args:
            training ([`~w2s_rm.stages.train.Train`]): Its model is the one that is read.
            layers (`int`): How many of its last layers are not.
        """
        return token_states(training, self, layers)

    def relabel(
        self,
        model: Model,
        split: str = "relabel",
        *,
        seed: int,
        part: str = WEAK,
        examples: Examples | None = None,
        as_given: bool = False,
        note: str | None = None,
    ) -> Labels:
        """Plan the labelling of a split with a model.

        Args:
            model ([`~w2s_rm.stages.Model`]): The model.
            split (`str`, *optional*, defaults to `"relabel"`): What to label.
            seed (`int`): The repetition.
            part (`str`, *optional*, defaults to `"weak"`): The part of the recipe that describes the model.
            examples ([`~w2s_rm.stages.Examples`], *optional*): Label these in place of a split.
            as_given (`bool`, *optional*, defaults to `False`): Whether the model was not trained here.
            note (`str`, *optional*): Tells it from others in lines of progress.
        """
        # In a title the split is said where it is not the usual one.
        other_split = split if split != "relabel" and examples is None else None
        words = " ".join(filter(None, [note, other_split])) or None
        scored = self._scored(part, model, examples or self.examples(split), as_given)
        return Relabel(**scored, seed=seed, note=words).weak_labels

    def evaluate(
        self,
        of: str,
        model: Model,
        *,
        seed: int | None,
        part: str | None = None,
        method: str | None = None,
        as_given: bool = False,
        split: str = "test",
        note: str | None = None,
    ) -> Evaluate:
        """Plan the scoring of a split.

        Args:
            of (`str`): What the model is.
            model ([`~w2s_rm.stages.Model`]): The model.
            seed (`int`, *optional*): The repetition.
            part (`str`, *optional*): The part of the recipe that describes it; `weak` for a supervisor, else `strong`.
            method (`str`, *optional*): The method that it belongs to.
            as_given (`bool`, *optional*, defaults to `False`): Whether the model was not trained here.
            split (`str`, *optional*, defaults to `"test"`): Which one.
            note (`str`, *optional*): Tells it from others in lines of progress.
        """
        part = part or (WEAK if of == WEAK else "strong")
        scored = self._scored(part, model, self.examples(split), as_given, whole=of == ZERO_SHOT)
        return Evaluate(**scored, of=of, method=method, seed=seed, note=note)

    def evaluate_labels(self, labels: Labels, *, seed: int, method: str | None = None) -> Evaluate:
        """Plan the judgement of a supervisor by its labels of the test split.

        Args:
            labels ([`~w2s_rm.stages.Labels`]): Of the test split.
            seed (`int`): The repetition.
            method (`str`, *optional*): The method that has the supervisor for itself.
        """
        return Evaluate(
            runs=self.runs, examples=self.examples("test"), labels=labels, of=WEAK, method=method, seed=seed
        )

    def size(self, part: str) -> int | None:
        """Return a number that grows with a model, to compare those of one recipe; `None` where it is not known.

        Of a model that is trained on features the layers count up to the highest that it may read: one file can be a
        small model and a large one.

        Args:
            part (`str`): The part of the recipe that describes it.
        """
        spec = self.spec(part)
        features, others = part_features(self.training_options(part))
        read = max(features.layers) if features is not None else None
        if spec.pretrain is not None:
            pretraining = Pretraining(**pretrained_by(spec.pretrain, 0))
            return (pretraining.num_hidden_layers if read is None else read) * pretraining.hidden_size**2
        # A small model may be a large one of which few layers are loaded.
        layers = dict(others.get("model_init_kwargs") or {}).get("num_hidden_layers")
        return model_size(self.base(part).path, layers if read is None else read)

    def layers(self, part: str) -> int | None:
        """Return the number of a model's layers; `None` where it is not known.

        Args:
            part (`str`): The part of the recipe that describes it.
        """
        return layer_count(self, part)

    def batch_size(self, part: str, method: str | None = None) -> int:
        """Return the number of examples in an optimizer step; where that is tuned, the largest.

        Args:
            part (`str`): The part of the recipe that describes the model.
            method (`str`, *optional*): The method whose students are trained so.
        """
        of_method = self.recipe.methods[method].train if method is not None else {}
        untuned = {**self.training_options(part), **of_method}
        tried = trials({**self.recipe.tune, **self.spec(part).tune}, _PLAIN.loss)
        return max(batch_size({**untuned, **trial.train}, self.launches[part].processes) for trial in tried)

    @property
    def n_relabelled(self) -> int | None:
        """How many examples students are trained on; `None` where only the data tell."""
        n_train = self.recipe.sizes.get("n_train")
        # Solutions are taken whole, so that a split may hold more steps than were asked for.
        if n_train is None or find_setting(str(self.encoding["setting"])).steps:
            return None
        # As the splits divide it: the odd example is one to relabel.
        return int(n_train - n_train // 2)

    def check_parts(self, parts: int, least: int, subject: str, remedy: str) -> None:
        """Refuse to divide the weak split into parts that are too small, where its size is known.

        Args:
            parts (`int`): Into how many.
            least (`int`): Fewest examples of a part.
            subject (`str`): What divides it, for the message.
            remedy (`str`): What to do but raise `n_train`.

        Raises:
            ConfigError: The parts would be smaller.
        """
        n_train = self.recipe.sizes.get("n_train")
        # The weak split is half of `n_train`, where solutions are not taken whole.
        if n_train is not None and self.n_relabelled is not None and n_train // 2 < parts * least:
            raise ConfigError(
                f"{subject} divides the weak split, {n_train // 2} examples, into {parts} parts, each smaller than "
                f"{least}; raise n_train, or {remedy}"
            )

    def policies(self, of: str, model: Model, *, seed: int, method: str | None = None) -> list[Policy]:
        """Plan the optimisation of the recipe's policy, in each way, against a reward model.

        Args:
            of (`str`): What the reward model is.
            model ([`~w2s_rm.stages.Model`]): The reward model.
            seed (`int`): The repetition.
            method (`str`, *optional*): The student's method.
        """
        policy = self.recipe.policy
        if policy is None:
            return []
        # Rewards are of new texts, of which nobody has read features.
        probe = probe_of(model)
        reward_model = model if probe is None else assembled(model, probe)
        return [
            Policy(
                **self.part_fields("policy"),
                task={"name": self.recipe.task_name, **self.recipe.task_options},
                # No reward model was trained on these.
                prompts=self.examples("validation"),
                examples=self.examples("test"),
                model_name_or_path=self.base("policy"),
                model=dict(policy.model.options),
                reward_model=reward_model,
                trainer=way.trainer,
                train={**_EVERYWHERE, **way.train},
                seed=seed,
                max_completion_length=policy.max_completion_length,
                samples=policy.samples,
                evaluations=policy.evaluations,
                of=of,
                method=method,
                policy=name,
            )
            for name, way in policy.methods.items()
        ]

    def spec(self, part: str) -> ModelSpec:
        """Return what the recipe says about a model."""
        # Only to refuse a name that the recipe does not have.
        self.base(part)
        return self.recipe.models()[part]

    def part_fields(self, part: str) -> dict[str, Any]:
        """Return the fields that all stages of a part of the recipe have: `runs`, `launch` and `part`."""
        return {"runs": self.runs, "launch": self.launches[part], "part": part}

    def training_options(self, part: str) -> dict[str, Any]:
        """Return what the recipe says of the training of a model, whatever the method."""
        return overlaid(_EVERYWHERE, self.recipe.train, self.spec(part).train)

    def _scored(
        self, part: str, model: Model, examples: Examples, as_given: bool, whole: bool = False
    ) -> dict[str, Any]:
        if (probe := probe_of(model)) is not None:
            inputs = {
                "examples": examples,
                "model_name_or_path": model,
                "features": read_alike(probe, self, examples),
            }
            # Without options: a linear model on features says the same under any.
            return {**self.part_fields(part), **self.encoding, **inputs}
        model_options = self.spec(part).options
        # As the student will be scored, merged and in full, and not as it will be trained.
        model_options = (
            {name: model_options[name] for name in WHOLE if name in model_options} if whole else model_options
        )
        kept = scoring(self.training_options(part), model_options, as_given=as_given)
        inputs = {"examples": examples, "model_name_or_path": model}
        return {**self.part_fields(part), **self.encoding, **inputs, "options": kept}
