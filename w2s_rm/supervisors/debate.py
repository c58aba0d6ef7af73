"""A weak judge that has read what strong models argue."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from w2s_rm import options
from w2s_rm.data.combining import WAYS
from w2s_rm.data.endpoints import Endpoint
from w2s_rm.data.transcripts import ASK, DEBATE, FORMS, SHOW
from w2s_rm.errors import ConfigError, OptionError, nearest
from w2s_rm.roles import INTERMEDIATE, WEAK
from w2s_rm.settings import find_setting
from w2s_rm.stages import Examples, Labels, Model
from w2s_rm.stages.combine import Combine
from w2s_rm.stages.transcripts import Transcripts
from w2s_rm.supervisors._base import Supervision
from w2s_rm.training.trainer_options import WHOLE
from w2s_rm.types import content_hash

if TYPE_CHECKING:
    from w2s_rm.experiment.route import Route


@dataclass(frozen=True)
class Debate:
    """The weak model, which reads a debate about an example before it judges it, in training and in labelling.

    For each candidate a strong model writes an argument, in each of several turns; the transcript stands at the end of
    the prompt. Students read the examples without it. With several transcripts there are as many judges, each trained
    on one, and their labels are combined. The control is a consultancy, in which one candidate has a side that argues
    for it, right as often as by chance.

    Source: Lang, Huang and Li 2025, "Debate Helps Weak-to-Strong Generalization" (arXiv 2501.13124).

    Args:
        debater (`str`, *optional*): The part of the recipe whose causal language model argues: a name of its `models`;
            by default `strong`.
        endpoint (`Mapping`, *optional*): A chat endpoint that argues in its place: fields of
            [`~w2s_rm.data.endpoints.Endpoint`].
        form (`str`, *optional*, defaults to `"debate"`): `debate` or `consultancy`.
        turns (`int`, *optional*, defaults to `1`): How often each side speaks.
        transcripts (`int`, *optional*, defaults to `1`): How many transcripts of each example, each with a judge.
        max_new_tokens (`int`, *optional*, defaults to `64`): Most tokens of an argument.
        temperature (`float`, *optional*, defaults to `1.0`): 0 writes the most likely argument.
        ask (`str`, *optional*): What a debater reads; `{prompt}`, `{candidate}` and `{said}` stand for these.
        show (`str`, *optional*): How a judge reads an argument; `{candidate}` and `{argument}` stand for these.
        how (`str`, *optional*, defaults to `"mean_log_odds"`): How labels of several judges are combined: a way of
            [`~w2s_rm.data.combining.combine`].

    Raises:
        OptionError: An option out of range, several transcripts that are all the same, or a text without a word in
            braces that it needs.
    """

    debater: str | None = None
    # A mapping has no hash, and that of a frozen dataclass is made of its fields.
    endpoint: Mapping[str, Any] | None = field(default=None, hash=False)
    form: str = DEBATE
    turns: int = 1
    transcripts: int = 1
    max_new_tokens: int = 64
    temperature: float = 1.0
    ask: str = ASK
    show: str = SHOW
    how: str = "mean_log_odds"

    needs_truth: ClassVar[bool] = True

    def __post_init__(self) -> None:
        counts = {name: getattr(self, name) for name in ("turns", "transcripts", "max_new_tokens")}
        wrong = {name: f"is {count}; use 1 or more" for name, count in counts.items() if count < 1}
        # Written this way round, NaN is refused.
        if not self.temperature >= 0:
            wrong["temperature"] = f"is {self.temperature}; use 0 or more"
        elif self.temperature == 0 and self.transcripts > 1:
            wrong["transcripts"] = f"is {self.transcripts}, and with temperature 0 they are all the same; raise it"
        for name, value, known in (("form", self.form, FORMS), ("how", self.how, WAYS)):
            if value not in known:
                wrong[name] = f"is {value!r}; {nearest(value, known)}"
        # Without its word a text would ask all sides the same, or show none of what they say.
        for name, needed in (("ask", "{candidate}"), ("show", "{argument}")):
            if needed not in getattr(self, name):
                wrong[name] = f"is {getattr(self, name)!r}, without {needed}"
        if self.turns > 1 and "{said}" not in self.ask:
            wrong["turns"] = f"is {self.turns}, and ask has no {{said}}: later turns would not know the earlier ones"
        if self.endpoint is not None:
            mistakes = options.option_mistakes(Endpoint, dict(self.endpoint), "endpoint")
            if mistakes:
                wrong["endpoint"] = "; ".join(map(str, mistakes))
            elif self.debater is not None:
                wrong["debater"] = f"is {self.debater}, and an endpoint argues; give one of the two"
        if wrong:
            raise OptionError("debate", wrong)

    def supervise(self, route: Route, seed: int, method: str | None = None) -> Supervision:
        """Let the debaters argue, train the judges on what they said, and label with them.

        Raises:
            ConfigError: What is judged are steps of solutions.
        """
        if find_setting(route.encoding["setting"]).steps:
            raise ConfigError(
                f"debates are about answers, and examples of setting {route.encoding['setting']} are steps of "
                "solutions; take another supervisor, or a task without steps"
            )
        judges = [self._judge(route, seed, method, number) for number in range(self.transcripts)]

        @functools.cache
        def label(split: str) -> Labels:
            said = [argued.relabel(judge, split, seed=seed, note=note) for argued, judge, note in judges]
            if len(said) == 1:
                return said[0]
            # The examples without a transcript: ids and candidates are the same, and all judges have them in common.
            return Combine(
                runs=route.runs, examples=route.examples(split), members=tuple(said), how=self.how, seed=seed
            ).weak_labels

        # By labels, as an ensemble: several judges are no one model, and nobody else reads what they read.
        return Supervision(label, (route.evaluate_labels(label("test"), seed=seed, method=method),))

    def _judge(self, route: Route, seed: int, method: str | None, number: int) -> tuple[Route, Model, str]:
        """A trained judge, the route on which it was trained, and a word for titles."""
        note = f"judge of a {self.form}" + (f" {number}" if self.transcripts > 1 else "")
        # Judges of one seed differ from each other and from those of the next seed; 8 hexadecimal digits are what a
        # seed may hold.
        own = seed if number == 0 else int(content_hash("judge", seed, number, length=8), 16)
        # Whatever is held out for it, too: it is chosen and stopped by examples as it will read them.
        argued = dataclasses.replace(route, shown=lambda examples: self._argued(route, examples, seed, number))
        return argued, argued.train(INTERMEDIATE, own, part=WEAK, method=method, note=note).model, note

    def _argued(self, route: Route, examples: Examples, seed: int, number: int) -> Examples:
        debater, split = self.debater or "strong", Path(examples.path).stem
        return Transcripts(
            runs=route.runs,
            examples=examples,
            # As it is before any training, whichever part of the recipe trains it later.
            model_name_or_path=route.base(debater) if self.endpoint is None else None,
            endpoint=self.endpoint,
            form=self.form,
            turns=self.turns,
            ask=self.ask,
            show=self.show,
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            number=number,
            seed=seed,
            part=debater if self.endpoint is None else None,
            options=_loading(route, debater) if self.endpoint is None else None,
            note=f"{split} {number}" if self.transcripts > 1 else split,
        ).argued


def _loading(route: Route, debater: str) -> dict[str, Any] | None:
    """What the recipe says of how the debater is loaded; it argues as it is, whole and without an adapter."""
    given = {**route.training_options(debater), **route.spec(debater).options}
    return {name: given[name] for name in (*WHOLE, "trust_remote_code") if name in given} or None
