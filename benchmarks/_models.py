"""Models of random weights and their tokenizers, the same in every run."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedTokenizerFast,
    Qwen2ForCausalLM,
    Qwen2ForSequenceClassification,
)

from benchmarks._settings import SIZES, Settings

_VOCABULARY = 8192
_SPECIAL = ["<pad>", "<eos>"]
_CHAT_TEMPLATE = "{% for message in messages %}{{ message.role + ': ' + message.content + eos_token }}{% endfor %}"


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE of at most 8192 words.

    Args:
        texts (`Iterable[str]`): What it shall write in few tokens.
    """
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=_VOCABULARY,
        special_tokens=_SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return _wrap(inner)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Make a tokenizer whose words are bytes, so that a move takes several tokens."""
    letters = [*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    inner = Tokenizer(models.BPE({letter: index for index, letter in enumerate(letters)}, []))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return _wrap(inner)


def _wrap(inner: Tokenizer) -> PreTrainedTokenizerFast:
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<pad>")
    tokenizer.chat_template = _CHAT_TEMPLATE
    return tokenizer


def save_models(size: str, texts: Iterable[str], folder: Path) -> None:
    """Save a reward model and a language model of one shape, in the folders `reward` and `lm`.

    Args:
        size (`str`): Name of a shape.
        texts (`Iterable[str]`): What the reward model's tokenizer is trained on; the language model reads bytes.
        folder (`Path`): Where to.
    """
    parts: tuple[tuple[str, Any, Any], ...] = (
        ("reward", train_tokenizer(texts), Qwen2ForSequenceClassification),
        ("lm", byte_tokenizer(), Qwen2ForCausalLM),
    )
    shape: dict[str, Any] = {"num_key_value_heads": SIZES[size]["num_attention_heads"], **SIZES[size]}
    for name, tokenizer, model_class in parts:
        config = AutoConfig.for_model(
            "qwen2",
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
            num_labels=1,
            tie_word_embeddings=True,
            **shape,
        )
        torch.manual_seed(0)
        model_class(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)


def model_path(settings: Settings, folder: Path, task: str) -> str:
    """Where the model of a task is.

    Args:
        settings ([`Settings`]): May name a model.
        folder (`Path`): Where [`save_models`] wrote to.
        task (`str`): `chess` takes the language model, all others the reward model.
    """
    return settings.model or str(folder / ("lm" if task == "chess" else "reward"))


def load_model(path: str, task: str) -> Any:
    """Load a model; what its folder lacks, a reward model's last layer, is the same in every call.

    Args:
        path (`str`): Folder or hub id.
        task (`str`): As in [`model_path`].
    """
    torch.manual_seed(0)
    if task == "chess":
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    return AutoModelForSequenceClassification.from_pretrained(path, num_labels=1, dtype=torch.float32)


def count_parameters(model: Any) -> tuple[int, int]:
    """Count all parameters, and those that are neither embeddings nor unembedding.

    Args:
        model (`PreTrainedModel`): The model.
    """
    outside = [model.get_input_embeddings(), model.get_output_embeddings()]
    tables = {id(weight): weight.numel() for layer in outside if layer is not None for weight in layer.parameters()}
    total = sum(weight.numel() for weight in model.parameters())
    return total, total - sum(tables.values())
