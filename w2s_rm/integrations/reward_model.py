"""A reward model from its folder, whole and checked: what a policy is optimised against must be what was trained."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations import deepspeed

from w2s_rm.data.reading import is_hub_id, resolve_path
from w2s_rm.errors import ConfigError, join_problems
from w2s_rm.heads import HEADS
from w2s_rm.heads.scores import keep_in_float32
from w2s_rm.runs.places import refuse_linear_model
from w2s_rm.training.facts import read_facts
from w2s_rm.training.modeling import quiet_loading

_TOKENIZER_FILES = ("tokenizer*", "vocab*", "*.model", "merges.txt")


@dataclass(frozen=True)
class RewardModel:
    """A reward model, ready to score.

    Args:
        path (`str`): Folder or hub id it came from.
        model (`PreTrainedModel`): Sequence classification with one output, whole in this process, in evaluation mode.
        tokenizer (`PreTrainedTokenizerBase`): Its own, with pad token and, for conversations, chat template.
        max_length (`int`, *optional*): Tokens to which rows were cut in training; where that is not known, as many as
            model and tokenizer say that they take.
        bf16 (`bool`, *optional*): Whether training computed in bfloat16; `None` where that is not known.
        trained_on (`str`, *optional*): `conversations` or `text`; `None` where that is not known.
    """

    path: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    max_length: int | None
    bf16: bool | None
    trained_on: str | None = None

    @property
    def name(self) -> str:
        """Names it in logs: the folder's name, or for `model/` in a stage's folder that of the stage."""
        path = Path(self.path)
        return path.parent.name if path.name == "model" and path.parent.name else path.name


def load_reward_model(model_name_or_path: str) -> RewardModel:
    """Load a reward model plainly, as one copy in each process, whatever engine the process trains with.

    Args:
        model_name_or_path (`str`): Folder (also `package:` path) or hub id.

    Raises:
        ConfigError: The folder is incomplete, the model is no sequence classifier with one output, or it has no pad
            token; the message names the folder, what is wrong, and the remedy.
    """
    path = _find(model_name_or_path)
    with unsharded():
        tokenizer = _load_tokenizer(path)
        model = _load_model(path)
    _check_pad_token(path, model, tokenizer)
    # As training did, which keeps the score layer apart from bfloat16: rewards differ less than its steps.
    keep_in_float32(HEADS["reward"].output_layers(model))
    facts = read_facts(path)
    # Without a limit in training, or where it is not known, as much as the model takes.
    max_length = facts.max_length or _longest(model, tokenizer)
    return RewardModel(path, model, tokenizer, max_length, facts.bf16, facts.trained_on)


@contextlib.contextmanager
def unsharded() -> Iterator[None]:
    """Load models whole: under ZeRO-3 transformers would spread each over the ranks, for an engine it never gets."""
    # transformers has no function that gives the config back, only this reference.
    held = None if deepspeed._hf_deepspeed_config_weak_ref is None else deepspeed._hf_deepspeed_config_weak_ref()
    deepspeed.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if held is not None:
            deepspeed.set_hf_deepspeed_config(held)


def _find(name: str) -> str:
    """Return the path of a whole folder, or a hub id as it is."""
    path = Path(resolve_path(name))
    refuse_linear_model(f"reward model {name!r}", path)
    if not path.is_dir():
        if path.exists() or not is_hub_id(name):
            raise ConfigError(f"reward model {name!r}: no such folder, and no hub id either; give one of the two")
        return name
    missing = _missing_parts(path)
    if not missing:
        return str(path.resolve())
    # Two likely mistakes have remedies of their own: the folder of a stage, and that of an adapter.
    remedy = "save model and tokenizer there with save_pretrained"
    if (path / "model" / "config.json").is_file():
        remedy = f"give the model in it, {path / 'model'}"
    elif (path / "adapter_config.json").is_file():
        remedy = "it is an adapter: merge it into its base model (merge_and_unload) and save that with its tokenizer"
    raise ConfigError(join_problems(f"reward model {name!r}: the folder is incomplete; {remedy}:", missing))


def _missing_parts(folder: Path) -> list[str]:
    missing = [] if (folder / "config.json").is_file() else ["no config.json"]
    index = folder / "model.safetensors.index.json"
    # A copy that was broken off may have the index and not all parts of the weights.
    if index.is_file():
        parts = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing += [f"no {part}, which {index.name} names" for part in parts if not (folder / part).is_file()]
    elif not any(folder.glob("*.safetensors")):
        missing.append("no *.safetensors weights (other formats are not read)")
    if not any(True for pattern in _TOKENIZER_FILES for _ in folder.glob(pattern)):
        missing.append("no tokenizer")
    return missing


def _load_tokenizer(path: str) -> PreTrainedTokenizerBase:
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"reward model {path!r}: its tokenizer does not load: {error}") from error
    return tokenizer


def _load_model(path: str) -> PreTrainedModel:
    try:
        config = AutoConfig.from_pretrained(path)
        _check_kind(path, config)
        with quiet_loading():
            # Other formats are pickles, which may run code as they are read. `info` says which weights were missing.
            model, info = HEADS["reward"].auto_class.from_pretrained(
                path, use_safetensors=True, dtype="auto", output_loading_info=True
            )
    # It is a ValueError too, and has said already what is wrong.
    except ConfigError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"reward model {path!r}: does not load: {error}") from error
    if info["missing_keys"]:
        lacking = ", ".join(sorted(info["missing_keys"])[:5])
        raise ConfigError(
            f"reward model {path!r}: has no weights for {lacking}, so its rewards would be random; "
            "save it again after training, score layer included"
        )
    loaded: PreTrainedModel = model.eval()
    # No trainer that meets it shall find anything to train.
    return loaded.requires_grad_(False)


def _check_kind(path: str, config: Any) -> None:
    names = config.architectures or []
    # From the config, before any weights: for another class transformers would put a random score layer on top.
    if names and not any(name.endswith("ForSequenceClassification") for name in names):
        raise ConfigError(
            f"reward model {path!r}: is a {', '.join(names)}, no reward model (sequence classifier with one output); "
            "train one with W2SRewardTrainer, or give its folder"
        )
    if config.num_labels != 1:
        raise ConfigError(
            f"reward model {path!r}: has {config.num_labels} outputs; a reward model has one (num_labels=1)"
        )


def _check_pad_token(path: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    ours, its = tokenizer.pad_token_id, model.config.get_text_config().pad_token_id
    if ours is None or ours != its:
        # Rewards are read at the last token that is no padding: with another pad token, somewhere else.
        mismatch = f"pad token {its} in its config, {ours} in its tokenizer"
        mismatch = "no pad token" if ours is None and its is None else mismatch
        raise ConfigError(
            f"reward model {path!r}: {mismatch}; set tokenizer.pad_token (to what training padded with) and "
            "model.config.get_text_config().pad_token_id = tokenizer.pad_token_id, and save both"
        )


def _longest(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    # Tokenizers that know no limit say a number with thirty digits.
    limits = [tokenizer.model_max_length, model.config.get_text_config().to_dict().get("max_position_embeddings")]
    return min((limit for limit in limits if limit is not None and 0 < limit < 10**9), default=None)
