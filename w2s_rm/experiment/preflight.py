"""What is wrong with the models of a plan, found before any of them is trained.

A model's configuration, tokenizer and training arguments are built as its stages will build them, and the model itself
without weights: seconds for all, while the stage that would say the same may be hours away.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from w2s_rm import catalog
from w2s_rm.errors import W2SError, nearest
from w2s_rm.experiment.plan import Plan
from w2s_rm.features.options import lacks_layers, parse_column
from w2s_rm.heads import HEADS
from w2s_rm.stages import Stage
from w2s_rm.stages.convert import Convert
from w2s_rm.stages.features import Features
from w2s_rm.stages.policy import Policy
from w2s_rm.stages.pretrain import Pretrain

# In these, stages of one model differ without need to look twice.
_EACH_ITS_OWN = (
    "stage",
    "of",
    "seed",
    "run_name",
    "examples",
    "labels",
    "validation",
    "validation_labels",
    "test",
    "loss",
    "inputs",
    "stage_hash",
    "reward_model",
    "linear_model",
    "features",
)
# What the machine must be able to do, where another one trains.
_NO_HARDWARE = {
    "use_cpu": True,
    "bf16": False,
    "fp16": False,
    "bf16_full_eval": False,
    "fp16_full_eval": False,
    "tf32": None,
}


def model_problems(plan: Plan, missing: Sequence[Stage], here: bool) -> list[str]:
    """Say what keeps the models of a plan from being trained, each line with the roles of the models that it is about.

    Args:
        plan ([`~w2s_rm.experiment.plan.Plan`]): The plan.
        missing (`Sequence[Stage]`): Its stages that load a model and are not finished.
        here (`bool`): Whether they run in this process or on this machine, so that its hardware counts.
    """
    roles_of: dict[str, dict[str, None]] = {}
    seen = set()
    for stage in missing:
        model = stage.references.get("model_name_or_path")
        if model is None:
            continue
        # What is made here can be asked once it is there; only of what is pretrained is more known before.
        pretrained = model.maker if isinstance(model.maker, Pretrain) else None
        converted = isinstance(model.maker, Convert) and model.maker.cached
        if model.maker is not None and pretrained is None and not converted:
            continue
        config = stage.config()
        kept = {name: value for name, value in config.items() if name not in _EACH_ITS_OWN}
        # Seeds, methods and whatever scores a model build the same one: each is looked at once.
        key = json.dumps([stage.part, stage.trains, isinstance(stage, Policy), kept], default=str, sort_keys=True)
        if key in seen:
            continue
        seen.add(key)
        # Arguments refuse, for example, bf16 on a machine without it: that is a mistake only if this machine trains.
        own_hardware = here and stage.launch.accelerate_config is None
        for text in _stage_problems(stage, pretrained, own_hardware):
            roles_of.setdefault(text, {})[str(stage.part)] = None
    return [f"{', '.join(roles)}: {text}" for text, roles in roles_of.items()]


def _stage_problems(stage: Stage, pretrained: Pretrain | None, own_hardware: bool) -> Iterator[str]:
    from trl import ModelConfig

    from w2s_rm.training.modeling import check_quantization, load_tokenizer, stage_tokenizer

    config, policy = stage.config(), isinstance(stage, Policy)
    args, wrong = (_policy_arguments if policy else _arguments)(config, own_hardware)
    yield from wrong
    if (stage.trains or policy) and args is not None:
        yield from _schedule_problems(args)
    path, model_options = config["model_name_or_path"], config["model"] if policy else config
    known = {option.name for option in dataclasses.fields(ModelConfig)}
    try:
        model_args = ModelConfig(
            **{**{name: model_options[name] for name in model_options if name in known}, "model_name_or_path": path}
        )
        check_quantization(model_args)
    # Such as 8 bits and 4 at once; without these options no model can be built below.
    except ValueError as error:
        yield str(error)
        return
    # The tokenizer of a model that the run has yet to pretrain is not there to be read.
    if pretrained is None or pretrained.cached:
        try:
            if policy or args is None:
                remote = _trusts_code(stage, config)
                load_tokenizer(path, revision=model_args.model_revision, trust_remote_code=remote)
            else:
                stage_tokenizer(model_args, args)
        except W2SError as error:
            yield str(error)
    model, wrong = _empty_model(stage, model_args, pretrained)
    yield from wrong
    if model is None:
        return
    if isinstance(stage, Features):
        yield from _layer_problems(stage, model)
    if stage.trains and args is not None:
        yield from _optimizer_problems(args, model)
    if (stage.trains or policy) and model_args.use_peft:
        yield from _adapter_problems("lm" if policy else config["head"], model_args, model)


def _arguments(config: Mapping[str, Any], own_hardware: bool) -> tuple[Any, list[str]]:
    """The trainer's arguments of a training or scoring stage, or what is wrong with them."""
    from w2s_rm.programs.launched import machine_defaults, quiet_warnings
    from w2s_rm.training.config import W2SRewardConfig

    quiet_warnings()
    known = {option.name for option in dataclasses.fields(W2SRewardConfig)}
    options = {name: value for name, value in config.items() if name in known}
    machine = machine_defaults(config) if own_hardware else _NO_HARDWARE
    try:
        return W2SRewardConfig(**{"output_dir": "unused", **options, **machine}), []
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        return None, [f"train: {error}"]


def _policy_arguments(config: Mapping[str, Any], own_hardware: bool) -> tuple[Any, list[str]]:
    """The same for a policy. Whether its batches divide depends on the number of processes: not asked elsewhere."""
    from w2s_rm.programs.launched import machine_defaults, quiet_warnings

    if not own_hardware:
        return None, []
    quiet_warnings()
    trainer = config["trainer"]
    file, name = catalog.lookup("policies", trainer).config_source
    try:
        kind = getattr(importlib.import_module(f"trl.{file.removesuffix('.py').replace('/', '.')}"), name)
        known = {option.name for option in dataclasses.fields(kind)}
        length = {"max_completion_length": config["max_completion_length"]}
        # DPO writes nothing, and PPO calls it otherwise.
        limits = {name: value for name, value in length.items() if name in known}
        train = config["train"]
        return kind(**{"output_dir": "unused", **limits, **machine_defaults(train), **train}), []
    except (TypeError, ValueError, ImportError, RuntimeError) as error:
        return None, [f"trainer {trainer}: train: {error}"]


def _schedule_problems(args: Any) -> Iterator[str]:
    import torch
    from transformers import get_scheduler

    # Any optimizer and any number of steps will do: what is asked is whether the schedule takes its options.
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=args.learning_rate)
    options = dict(args.lr_scheduler_kwargs or {})
    try:
        get_scheduler(args.lr_scheduler_type, optimizer, 0, 100, scheduler_specific_kwargs=options)
    except (TypeError, ValueError) as error:
        yield f"train: lr_scheduler_type {args.lr_scheduler_type.value} with lr_scheduler_kwargs {options}: {error}"


def _layer_problems(stage: Features, model: Any) -> Iterator[str]:
    """Say which layers a model of the hub lacks: of what lies here the plan has said so."""
    count = model.config.get_text_config().num_hidden_layers
    # Below 0 layers are counted from the end, as `token_states` does.
    lacking = sorted({layer for layer, _ in map(parse_column, stage.columns) if not -count <= layer <= count})
    if lacking:
        yield lacks_layers(type(model).__name__, lacking, count)


def _optimizer_problems(args: Any, model: Any) -> Iterator[str]:
    from transformers import Trainer

    try:
        # It imports the optimizer's package and reads `optim_args`, and makes no optimizer.
        Trainer.get_optimizer_cls_and_kwargs(args, model)
    except (ImportError, TypeError, ValueError) as error:
        yield f"train: optim {getattr(args.optim, 'value', args.optim)}: {error}"


def _trusts_code(stage: Stage, config: Mapping[str, Any]) -> bool:
    return stage.trusts_code if isinstance(stage, Policy) else bool(config.get("trust_remote_code", False))


def _empty_model(stage: Stage, model_args: Any, pretrained: Pretrain | None) -> tuple[Any, list[str]]:
    """A stage's model without weights, or `None`, and what is wrong with its configuration."""
    import torch
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig, AutoModelForCausalLM, LlamaConfig

    from w2s_rm.training.modeling import check_writes, quiet_loading

    config, policy = stage.config(), isinstance(stage, Policy)
    head = None if policy else HEADS[config["head"]]
    auto = AutoModelForCausalLM if head is None else head.auto_class
    init_kwargs = {} if policy else dict(config.get("model_init_kwargs") or {})
    options = {**init_kwargs, **({} if head is None else head.model_options(config.get("classes")))}
    remote = _trusts_code(stage, config)
    path = str(model_args.model_name_or_path)
    try:
        if pretrained is not None and not pretrained.cached:
            sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads")
            shape = {name: pretrained.pretrain[name] for name in sizes}
            # The real vocabulary is the corpus', which may have to be read for it.
            blueprint, unused = LlamaConfig.from_dict({**shape, "vocab_size": 8}, return_unused_kwargs=True, **options)
        else:
            # What it does not use may still be meant for loading or for the model's class: `_unknown_options` asks
            # these.
            blueprint, unused = AutoConfig.from_pretrained(
                path,
                return_unused_kwargs=True,
                revision=model_args.model_revision,
                trust_remote_code=remote,
                # Both are given above, and Python takes no argument twice.
                **{name: value for name, value in options.items() if name not in ("revision", "trust_remote_code")},
            )
    except (OSError, TypeError, ValueError, StrictDataclassError) as error:
        return None, [f"no configuration loads from model_name_or_path {path!r}: {' '.join(str(error).split())}"]
    attention = init_kwargs.get("attn_implementation", model_args.attn_implementation)
    try:
        # There tensors have shapes and no memory.
        with torch.device("meta"), quiet_loading():
            model = auto.from_config(
                blueprint,
                dtype=torch.float32,
                trust_remote_code=remote,
                **({"attn_implementation": attention} if attention else {}),
            )
    except (ImportError, TypeError, ValueError, KeyError, StrictDataclassError) as error:
        kind = "language model" if head is None else head.kind
        return None, [f"no {kind} loads from model_name_or_path {path!r}: {' '.join(str(error).split())}"]
    except RuntimeError:
        # Code that computes with values, such as that of some models on the hub, cannot run without any.
        return None, []
    problems = _unknown_options(model, blueprint, unused)
    try:
        if head is not None and head.writes:
            check_writes(path, model)
    except W2SError as error:
        problems.append(str(error))
    return model, problems


def _unknown_options(model: Any, blueprint: Any, unused: Mapping[str, Any]) -> list[str]:
    """Say which `model_init_kwargs` neither the configuration nor the loading nor the model takes."""
    from transformers import PreTrainedModel

    loading = inspect.getsource(PreTrainedModel.from_pretrained)
    # Most of what from_pretrained takes stands not in its signature but in its code.
    known = {
        *re.findall(r'kwargs\.pop\("(\w+)"', loading),
        *inspect.signature(PreTrainedModel.from_pretrained).parameters,
    }
    known |= {*inspect.signature(type(model).__init__).parameters, "code_revision"}
    wrong = [name for name in unused if name not in known]
    near = [*blueprint.to_dict(), "attn_implementation", "device_map", "dtype"]
    hints = [f"{name!r} ({_near(name, near)})" for name in wrong]
    return [f"model_init_kwargs: {type(model).__name__} has no {', no '.join(hints)}"] if wrong else []


def _near(name: str, known: Sequence[str]) -> str:
    hint = nearest(name, known)
    # To list the hundreds of names that there are would help nobody.
    return hint if hint.startswith("did you mean") else "nothing there is like it"


def _adapter_problems(head: str, model_args: Any, model: Any) -> Iterator[str]:
    """Say which parts that LoRA shall change, or train in full, the model does not have."""
    import torch
    from peft import get_peft_model

    from w2s_rm.training.modeling import peft_config

    modules = [name for name, _ in model.named_modules() if name]
    # Without the numbers of layers, which nobody means by a target.
    leaves = list(dict.fromkeys(name.rsplit(".", 1)[-1] for name in modules if not name[-1].isdigit()))
    weights = [name for name, _ in model.named_parameters()]
    asked = {
        "lora_target_modules": (model_args.lora_target_modules, modules, leaves),
        "lora_modules_to_save": (model_args.lora_modules_to_save, modules, leaves),
        "lora_target_parameters": (
            model_args.lora_target_parameters,
            weights,
            [name.rsplit(".", 1)[-1] for name in weights],
        ),
    }
    wrong = False
    for option, (value, names, near) in asked.items():
        # TRL takes the only entry of a list out of it, and PEFT takes a single text as a pattern of the whole name.
        pattern = isinstance(value, str)
        for target in [value] if pattern else value or ():
            if target == "all-linear" and pattern:
                continue
            # Of a list each is the end of a name, behind a dot, as PEFT compares them.
            if any(re.fullmatch(target, name) if pattern else f".{name}".endswith(f".{target}") for name in names):
                continue
            wrong = True
            alone = pattern and target in near
            hint = f"alone it is a pattern of whole names, write '.*\\.{target}'" if alone else _near(str(target), near)
            yield f"{option}: {target!r} matches nothing in {type(model).__name__}; {hint}"
    # PEFT would say it once more, without a hint.
    if wrong:
        return
    try:
        with torch.device("meta"):
            get_peft_model(model, peft_config(head, model_args))
    except (TypeError, ValueError, ImportError) as error:
        yield f"LoRA: {' '.join(str(error).split())}"
