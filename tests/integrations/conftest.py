"""Tiny reward models, with and without a chat template, and a policy whose template differs from theirs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForSequenceClassification, AutoTokenizer

# Roles become words of the tiny vocabulary, so that a wrong template gives other tokens.
REWARD_TEMPLATE = (
    "{% for m in messages %}{{ ('w3 ' if m.role == 'user' else 'w4 ') + m.content + ' ' + eos_token }}{% endfor %}"
)
POLICY_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + ' ' + m.content + ' <|im_end|> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant ' }}{% endif %}"
)


@pytest.fixture
def reward_folder(tmp_path: Path, tiny_model: Callable[..., str]) -> Callable[..., Path]:
    """Copy a tiny reward model, with a chat template or none."""

    def make(
        template: str | bool = False, architecture: str = "llama", pad: str = "<pad>", name: str = "reward"
    ) -> Path:
        folder = tmp_path / name
        shutil.copytree(tiny_model(architecture, pad), folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.chat_template = REWARD_TEMPLATE if template is True else template or None
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture
def policy_folder(tmp_path: Path, tiny_language_model: Callable[..., str]) -> Path:
    """Copy a tiny language model, with a chat template of its own."""
    folder = tmp_path / "policy"
    shutil.copytree(tiny_language_model(), folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = POLICY_TEMPLATE
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def by_hand() -> Callable[..., float]:
    """Score one text with a saved model, alone and without padding, as plain transformers does."""

    def score(folder: Path, text: str) -> float:
        model: Any = AutoModelForSequenceClassification.from_pretrained(folder)
        ids = AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")["input_ids"]
        return float(model.eval()(input_ids=ids).logits.item())

    return score
