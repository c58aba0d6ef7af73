"""How much of the examples each model of a recipe reads, at its `max_length` and with its tokenizer."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from w2s_rm.checks.report import Truncation
from w2s_rm.checks.sampling import sample
from w2s_rm.errors import W2SError
from w2s_rm.experiment.plan import Plan, model_label
from w2s_rm.heads import HEADS
from w2s_rm.stages.policy import Policy
from w2s_rm.types import Encoded, Example

logger = logging.getLogger(__name__)

# Enough for shares to a fraction of a percent, few enough to take seconds.
_MOST_CANDIDATES = 20_000
_Rendering = tuple[str, str, str, Callable[[], object]]  # role, path, revision, what may fail
_TOKENIZER_OPTIONS = ("eos_token", "chat_template_path", "trust_remote_code", "max_length")


def truncations(plan: Plan, examples: Sequence[Example]) -> tuple[Truncation, ...]:
    """Tokenise examples as the stages of a plan would.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): A planned recipe.
        examples (`Sequence[Example]`): Of all splits.

    Raises:
        DataError: A tokenizer cannot write a candidate.
    """
    taken = sample(examples, _MOST_CANDIDATES, per_candidate=True)
    return tuple(_measure(role, model, config, taken) for role, model, config in _readers(plan))


def rendering_problems(plan: Plan, examples: Sequence[Example]) -> list[str]:
    """Say which tokenizers of a plan cannot write its conversations, before any of its models is trained.

    Tokenizers that are not here yet belong to models pretrained or downloaded by the run, and a warning names them;
    plain text needs no template, but under a head that writes its candidates must be tokens of their own, too.
    Of many examples a sample is rendered.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): A planned recipe.
        examples (`Sequence[Example]`): Of all splits.
    """
    conversations = [example for example in examples if not isinstance(example.candidates[0], str)]
    spoken, read = (
        sample(some, _MOST_CANDIDATES, per_candidate=True) if some else []
        for some in (conversations, examples if HEADS[plan.head].writes else conversations)
    )
    problems = []
    rewarding = _rewarding(plan, read) if read else ()
    for role, path, revision, render in (*rewarding, *(_writing(plan, spoken) if spoken else ())):
        reason = _missing(path, revision)
        if reason:
            if spoken:
                logger.warning(
                    "%s: whether its chat template fits the conversations is not known yet: %s", role, reason
                )
            continue
        try:
            render()
        except W2SError as error:
            problems.append(f"{role}: {error}")
    return problems


def _rewarding(plan: Plan, examples: Sequence[Example]) -> Iterator[_Rendering]:
    """Examples as the weak and the strong model read them."""
    for role, _, config in _readers(plan):
        path = str(config["model_name_or_path"])
        yield role, path, str(config.get("model_revision", "main")), functools.partial(_encode, config, path, examples)


def _writing(plan: Plan, examples: Sequence[Example]) -> Iterator[_Rendering]:
    """Prompts as policies read them."""
    policies = [(stage.config(), stage.trusts_code) for stage in plan.stages if isinstance(stage, Policy)]
    asked = [example for example in examples if example.prompt]
    for path, revision, remote in dict.fromkeys(
        (str(config["model_name_or_path"]), str(config["model"].get("model_revision", "main")), trusts)
        for config, trusts in policies
    ):
        yield "policy", path, revision, functools.partial(_render_prompts, path, revision, remote, asked)


def _render_prompts(path: str, revision: str, remote: bool, examples: Sequence[Example]) -> None:
    from w2s_rm.heads.encoding import encode_prompts
    from w2s_rm.training.modeling import load_tokenizer

    tokenizer = load_tokenizer(path, revision=revision, trust_remote_code=remote)
    counts = [len(example.candidates) for example in examples]
    kwargs = [example.template_kwargs for example in examples]
    encode_prompts(tokenizer, [example.prompt for example in examples], counts, None, kwargs)


def _readers(plan: Plan) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Role, name and stage config of each tokenizer with a `max_length` of its own."""
    seen = set()
    for stage in plan.stages:
        # Whatever else reads the examples is a model trained by one of these.
        first = stage.encodes or (stage.kind == "relabel" and plan.recipe.weak.trained)
        if not first or stage.part is None:
            continue
        config = stage.config()
        key = (stage.part, *(str(config.get(name)) for name in _TOKENIZER_OPTIONS))
        if key not in seen:
            seen.add(key)
            yield stage.part, model_label(plan.recipe.models()[stage.part]), config


def _measure(role: str, model: str, config: Mapping[str, Any], examples: Sequence[Example]) -> Truncation:
    # Not above: stages are heavier than a check of a task needs.
    from w2s_rm.programs.scoring import has_alike

    path = str(config["model_name_or_path"])
    reason = _missing(path, str(config.get("model_revision", "main")))
    if reason:
        return Truncation(role, model, skipped=reason)
    max_length, encoded = _encode(config, path, examples)
    return Truncation(
        role,
        model,
        max_length,
        len(encoded),
        sum(row.cut_prompt_tokens > 0 for row in encoded) / len(encoded),
        sum(row.cut_candidate_tokens > 0 for row in encoded) / len(encoded),
        sum(map(has_alike, encoded)),
    )


def _missing(path: str, revision: str) -> str:
    """Say why a tokenizer is not here; empty if it is. A check downloads no model."""
    from huggingface_hub import try_to_load_from_cache

    folder = Path(path)
    if folder.is_dir():
        has_tokenizer = any(
            (folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt")
        )
        return "" if has_tokenizer else f"no tokenizer in {path}"
    # A path of the user's is a folder that was there when the plan was made: what is not is still to be pretrained.
    if folder.is_absolute():
        return "not pretrained yet; run the recipe first"
    # The hub's client returns a path, `None`, or an object that says that there is no such file.
    cached = isinstance(try_to_load_from_cache(path, "tokenizer_config.json", revision=revision), str)
    return "" if cached else "its tokenizer is not on this machine; a run downloads it"


def _encode(config: Mapping[str, Any], path: str, examples: Sequence[Example]) -> tuple[int | None, list[Encoded]]:
    from trl import ModelConfig

    from w2s_rm.programs.launched import quiet_warnings
    from w2s_rm.programs.scoring import encode
    from w2s_rm.training.config import W2SRewardConfig
    from w2s_rm.training.modeling import stage_tokenizer

    quiet_warnings()
    options = {name: config[name] for name in _TOKENIZER_OPTIONS if name in config}
    # On a CPU and in float32: nothing is computed here, and this machine need not be able to do what the recipe asks
    # for.
    args = W2SRewardConfig(output_dir="unused", use_cpu=True, bf16=False, report_to="none", **options)
    model_args = ModelConfig(model_name_or_path=path, model_revision=str(config.get("model_revision", "main")))
    tokenizer = stage_tokenizer(model_args, args)
    head = str(config.get("head", "reward"))
    return args.max_length, encode(str(config["setting"]), tokenizer, examples, args.max_length, head)
