"""Loading models so that only the recipe decides what comes in, and saving them so that anyone can load them."""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations import is_deepspeed_zero3_enabled
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.utils import logging as transformers_logging
from trl import ModelConfig, get_peft_config, get_quantization_config

from w2s_rm.errors import ConfigError
from w2s_rm.heads import HEADS
from w2s_rm.heads.pooled import register_pooled
from w2s_rm.training.config import W2SRewardConfig
from w2s_rm.training.frozen_layers import layers_of

# Whatever loads models here loads these too.
register_pooled()


def load_tokenizer(path: str, *, revision: str = "main", trust_remote_code: bool = False) -> PreTrainedTokenizerBase:
    """Load a tokenizer that can pad.

    Args:
        path (`str`): Local folder or hub id.
        revision (`str`, *optional*, defaults to `"main"`): Hub revision.
        trust_remote_code (`bool`, *optional*, defaults to `False`): Run code that comes with the tokenizer.

    Raises:
        ConfigError: Nothing loads from `path`, or the tokenizer has neither a pad nor an eos token.
    """
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, revision=revision, trust_remote_code=trust_remote_code)
    except (OSError, ValueError) as error:
        raise ConfigError(f"no tokenizer loads from model_name_or_path {path!r}: {error}") from error
    if tokenizer.pad_token is None and tokenizer.eos_token is None:
        raise ConfigError(
            f"the tokenizer of {path!r} has neither a pad nor an eos token, so rows cannot be padded; "
            "set one and save the tokenizer beside the model"
        )
    # As TRL does. Collators hide padding by an attention mask, and heads find a row's end by the last token that is not
    # this one.
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    result: PreTrainedTokenizerBase = tokenizer
    return result


def stage_tokenizer(model_args: ModelConfig, args: W2SRewardConfig) -> PreTrainedTokenizerBase:
    """Load a stage's tokenizer with the eos token and the chat template that its config asks for.

    Args:
        model_args ([`~trl.ModelConfig`]): Path and revision.
        args ([`W2SRewardConfig`]): `eos_token`, `chat_template_path`, `trust_remote_code`.

    Raises:
        ConfigError: As [`load_tokenizer`], or the eos or pad token is unknown, or the template is no Jinja file.
    """
    path = str(model_args.model_name_or_path)
    tokenizer: Any = load_tokenizer(path, revision=model_args.model_revision, trust_remote_code=args.trust_remote_code)
    if args.eos_token is not None:
        if args.eos_token not in tokenizer.get_vocab():
            raise ConfigError(_unknown_token("eos_token", args.eos_token, tokenizer, path))
        tokenizer.eos_token = args.eos_token
    if args.pad_token is not None and args.pad_token not in tokenizer.get_vocab():
        raise ConfigError(_unknown_token("pad_token", args.pad_token, tokenizer, path))
    if args.pad_token is not None:
        tokenizer.pad_token = args.pad_token
    if args.chat_template_path is not None:
        template = Path(args.chat_template_path)
        if not template.is_file():
            # TRL can also clone a tokenizer's template; that adds tokens, and the saved weak model would need them too.
            raise ConfigError(f"chat_template_path {str(template)!r} is no file; give a Jinja template")
        tokenizer.chat_template = template.read_text(encoding="utf-8")
    result: PreTrainedTokenizerBase = tokenizer
    return result


def _unknown_token(option: str, token: str, tokenizer: Any, path: str) -> str:
    special = ", ".join(map(repr, tokenizer.all_special_tokens))
    return f"{option} {token!r} is not in the vocabulary of the tokenizer of {path!r}; its special tokens: {special}"


def load_model(
    head: str,
    model_args: ModelConfig,
    args: W2SRewardConfig,
    classes: Sequence[str] | None = None,
    *,
    trained: bool = False,
) -> PreTrainedModel:
    """Load a model for a head; new weights of the head depend on the seed alone.

    Args:
        head (`str`): `reward`, `classification` or `lm`.
        model_args ([`~trl.ModelConfig`]): Path, revision, dtype, attention, quantization.
        args ([`W2SRewardConfig`]): `seed`, `trust_remote_code`, `model_init_kwargs`.
        classes (`Sequence[str]`, *optional*): The fixed classes of the task, for `classification`.
        trained (`bool`, *optional*, defaults to `False`): Whether it must have a head already, since it is not going to
            be trained.

    Raises:
        ConfigError: The folder holds no safetensors weights, its head has another number of outputs or is missing where
            it must not be, it is no language model where one is needed, or bitsandbytes is missing for quantization.
    """
    check_quantization(model_args)
    quantization = get_quantization_config(model_args)
    settings: dict[str, Any] = {
        "revision": model_args.model_revision,
        "dtype": model_args.dtype,
        "attn_implementation": model_args.attn_implementation,
        "trust_remote_code": args.trust_remote_code,
        "quantization_config": quantization,
        # bitsandbytes quantises on the device, so each process loads onto its own.
        "device_map": {"": args.device} if quantization is not None else None,
        **(args.model_init_kwargs or {}),  # type: ignore[dict-item]
    }
    path, kind = str(model_args.model_name_or_path), HEADS[head].kind
    with quiet_loading():
        try:
            model, info = HEADS[head].auto_class.from_pretrained(
                path,
                # Other files of weights are pickles, which run code.
                use_safetensors=True,
                output_loading_info=True,
                # A head of another size is refused below, by name and with what to do.
                ignore_mismatched_sizes=True,
                **HEADS[head].model_options(classes),
                **{name: value for name, value in settings.items() if value is not None},
            )
        except (OSError, ValueError, ImportError) as error:
            # An attention implementation that is not installed is an import error.
            raise ConfigError(f"no {kind} loads from model_name_or_path {path!r}: {error}") from error
    if info["mismatched_keys"]:
        wrong = [
            f"{name} is {list(actual)}, not {list(expected)}"
            for name, actual, expected in sorted(info["mismatched_keys"])
        ]
        raise ConfigError(
            f"{path!r} does not fit a {kind}: {'; '.join(wrong)}; "
            f"take the model before its classification head was trained, or a {kind}"
        )
    if HEADS[head].writes:
        check_writes(path, model, sorted(info["missing_keys"]))
    lacking = sorted(set(info["missing_keys"]) & dict(model.named_parameters()).keys())
    if trained and lacking:
        raise ConfigError(
            f"{path!r} has no weights for {', '.join(lacking[:5])}, so its scores would be random: it is no {kind}; "
            "train it first, or name a model that is trained"
        )
    _initialise(model, sorted(info["missing_keys"]), args.seed)
    loaded: PreTrainedModel = model
    return loaded


def check_writes(path: str, model: PreTrainedModel, missing: Sequence[str] = ()) -> None:
    """Refuse what cannot predict the next token: half a model, an encoder, or one that cannot pad on the left.

    Args:
        path (`str`): Where it is from, for the message.
        model (`PreTrainedModel`): The model, with or without weights.
        missing (`Sequence[str]`, *optional*): Weights that its folder lacks.

    Raises:
        ConfigError: It cannot.
    """
    if missing:
        raise ConfigError(
            f"{path!r} is no language model, head lm needs one: the folder has no weights for {', '.join(missing[:5])}"
        )
    # Some encoders load as language models, and would see the very tokens that they are to predict.
    masked = model.config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if masked and not model.config.to_dict().get("is_decoder"):
        raise ConfigError(
            f"{path!r}: {type(model).__name__} reads in both directions and is no language model, head lm needs one; "
            "use head classification or reward, or a decoder such as Llama, Qwen, GPT-2 or Gemma"
        )
    taken = inspect.signature(model.forward).parameters
    lacking = [name for name in ("position_ids", "logits_to_keep") if name not in taken]
    if lacking:
        raise ConfigError(
            f"{path!r}: {type(model).__name__} takes no {' and no '.join(lacking)}, which head lm needs; "
            "use head reward, or a decoder such as Llama, Qwen, GPT-2 or Gemma"
        )


def load_for_trainer(
    head: str, path: str, args: W2SRewardConfig, classes: Sequence[str] | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a model and its tokenizer by path alone, as a trainer does that is given a string.

    Args:
        head (`str`): `classification` or `lm`.
        path (`str`): Local folder or hub id.
        args ([`W2SRewardConfig`]): As in [`load_model`].
        classes (`Sequence[str]`, *optional*): As in [`load_model`].
    """
    model_args = ModelConfig(model_name_or_path=path)
    with spent_init_kwargs(args):
        tokenizer = stage_tokenizer(model_args, args)
    return load_model(head, model_args, args, classes), tokenizer


def check_quantization(model_args: ModelConfig) -> None:
    """Refuse quantization where its package is missing; costs nothing, so a stage can ask before it loads anything.

    Args:
        model_args ([`~trl.ModelConfig`]): `load_in_4bit` and `load_in_8bit`.

    Raises:
        ConfigError: One of them is set and bitsandbytes is not installed.
    """
    if not (model_args.load_in_4bit or model_args.load_in_8bit):
        return
    if importlib.util.find_spec("bitsandbytes") is None:
        asked = "load_in_4bit" if model_args.load_in_4bit else "load_in_8bit"
        raise ConfigError(f"{asked} needs bitsandbytes, which is not installed; run: pip install 'w2s-rm[qlora]'")


@contextlib.contextmanager
def spent_init_kwargs(args: W2SRewardConfig) -> Iterator[None]:
    """Hide `model_init_kwargs` while a trainer takes a model that is loaded already: TRL warns that it ignores them.

    Args:
        args ([`W2SRewardConfig`]): Restored afterwards.
    """
    kwargs, args.model_init_kwargs = args.model_init_kwargs, None
    try:
        yield
    finally:
        args.model_init_kwargs = kwargs


@contextlib.contextmanager
def quiet_loading() -> Iterator[None]:
    """Silence the report of missing head weights: a new head is what loading a language model here means."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)


def _initialise(model: PreTrainedModel, names: Sequence[str], seed: int) -> None:
    # Each engine draws new weights in its own way; drawn here, one process and ZeRO-3 start from the same head.
    generator = torch.Generator().manual_seed(seed)
    parameters = dict(model.named_parameters())
    # In the order of names, so that every engine draws the same numbers for the same weights.
    for name in names:
        # Missing are also buffers, which have nothing to draw, and the second name of a tied weight that is missing as
        # a whole, which is drawn under its first name.
        if name not in parameters:
            continue
        parameter = parameters[name]
        # Under ZeRO-3 a process holds a slice of each weight: gathered, rank 0 writes, and all get their slices again.
        with _whole([parameter]), torch.no_grad():
            if parameter.dim() > 1:
                std = float(model.config.initializer_range)
                parameter.copy_(torch.empty(parameter.shape).normal_(0.0, std, generator=generator))
            else:
                # A new norm starts as the identity.
                parameter.fill_(1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0)


def _whole(parameters: list[nn.Parameter]) -> contextlib.AbstractContextManager[Any]:
    if not is_deepspeed_zero3_enabled():
        return contextlib.nullcontext()
    import deepspeed

    context: contextlib.AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(parameters, modifier_rank=0)
    return context


def freeze_all_but(head: str, model: Any, layers: int, *, checkpointing: bool = False) -> None:
    """Let only the last layers, and the head where it is new, be trained.

    Args:
        head (`str`): `reward`, `classification` or `lm`; the last has no weights that are new.
        model (`PreTrainedModel`): Before its optimizer is made.
        layers (`int`): How many of the last layers are trained.
        checkpointing (`bool`, *optional*, defaults to `False`): Whether layers are computed again on the way back.

    Raises:
        ConfigError: The model has fewer layers, or they cannot be told.
    """
    body, _ = layers_of(model)
    if layers > len(body):
        raise ConfigError(
            f"freeze: {layers} of the last layers are to be trained, and the model has {len(body)} layers"
        )
    # All that is not the body is the head, of however many layers; some encoders have two, both new.
    # A language model's unembedding is no new head: it stays as it was pretrained, like the frozen layers.
    model.requires_grad_(not HEADS[head].writes)
    model.base_model.requires_grad_(False)
    for layer in body[len(body) - layers :]:
        layer.requires_grad_(True)
    if checkpointing:
        # Layers that are computed again may need an input with a gradient, which frozen embeddings do not give.
        model.enable_input_require_grads()


def peft_config(head: str, model_args: ModelConfig) -> Any:
    """Return the LoRA configuration for a head, or `None`; a score head is always trained and saved.

    Args:
        head (`str`): `reward`, `classification` or `lm`.
        model_args ([`~trl.ModelConfig`]): `use_peft` and the `lora_*` fields.
    """
    # TRL's default task type is for language models: PEFT then leaves a fresh score head untrained and unsaved.
    model_args.lora_task_type = HEADS[head].task_type
    return get_peft_config(model_args)
