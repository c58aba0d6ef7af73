"""A language model that goes on with texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from w2s_rm.errors import ConfigError
from w2s_rm.programs.rollouts import evaluating
from w2s_rm.training.modeling import load_tokenizer, quiet_loading

_BATCH = 64


class Writer:
    """Writes what follows each of several texts; with equal seeds the same.

    A model with a chat template reads a text as what a user says.

    Args:
        path (`str`): Folder or hub id of a causal language model.
        max_new_tokens (`int`): Most tokens.
        temperature (`float`): 0 writes the most likely text.
        seed (`int`): Of the draws.
        options (`Mapping[str, Any]`, *optional*): `model_revision`, `dtype`, `attn_implementation` and
            `trust_remote_code`, as far as they are given.

    Raises:
        ConfigError: No language model loads from there.
    """

    def __init__(
        self,
        path: str,
        max_new_tokens: int,
        temperature: float,
        seed: int,
        options: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        revision, remote = options.get("model_revision", "main"), bool(options.get("trust_remote_code", False))
        # What is written goes on at the end of a row.
        self.tokenizer: Any = load_tokenizer(path, revision=revision, trust_remote_code=remote)
        attention = options.get("attn_implementation")
        try:
            with quiet_loading():
                model: Any = AutoModelForCausalLM.from_pretrained(
                    path,
                    use_safetensors=True,
                    revision=revision,
                    trust_remote_code=remote,
                    dtype=options.get("dtype", "auto"),
                    **({} if attention is None else {"attn_implementation": attention}),
                )
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(f"debater: no language model loads from {path!r}: {error}") from error
        self.model = model.to(torch.accelerator.current_accelerator() if torch.accelerator.is_available() else "cpu")
        # Of all that the model holds possible: its own generation config, or the 50 of `top_k` that transformers falls
        # back on, would narrow it.
        self.drawing = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        if temperature == 0:
            self.drawing = {"do_sample": False}
        self.max_new_tokens, self.seed = max_new_tokens, seed

    def __call__(self, requests: Sequence[str]) -> list[str]:
        """Return what is written, without special tokens.

        Args:
            requests (`Sequence[str]`): What is read.

        Raises:
            ConfigError: A request does not fit into the model's window.
        """
        ids = [self._encoded(text) for text in requests]
        self._check_window(max(map(len, ids)))
        # Together those of a length, so that little is padding.
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        written = [""] * len(ids)
        # `fork_rng` always keeps the CPU's generator; of devices it needs to be told.
        devices = [self.model.device] if self.model.device.type == "cuda" else []
        with torch.random.fork_rng(devices), evaluating(self.model), torch.no_grad():
            torch.manual_seed(self.seed)
            for first in range(0, len(order), _BATCH):
                places = order[first : first + _BATCH]
                for place, text in zip(places, self._continued([ids[place] for place in places]), strict=True):
                    written[place] = text
        return written

    def _encoded(self, text: str) -> list[int]:
        if self.tokenizer.chat_template is None:
            return list(self.tokenizer(text)["input_ids"])
        message = [{"role": "user", "content": text}]
        return list(
            self.tokenizer.apply_chat_template(message, add_generation_prompt=True, return_dict=True)["input_ids"]
        )

    def _check_window(self, longest: int) -> None:
        window = getattr(self.model.config, "max_position_embeddings", None)
        if window is not None and longest + self.max_new_tokens > window:
            raise ConfigError(
                f"debater: a request has {longest} tokens and an argument up to {self.max_new_tokens}, more than the "
                f"model's window of {window}; take fewer turns, a smaller max_new_tokens, or another model"
            )

    def _continued(self, ids: Sequence[list[int]]) -> list[str]:
        padded = self.tokenizer.pad({"input_ids": list(ids)}, padding_side="left", return_tensors="pt")
        inputs = {name: padded[name].to(self.model.device) for name in ("input_ids", "attention_mask")}
        rows_NT = self.model.generate(
            **inputs,
            **self.drawing,
            max_new_tokens=self.max_new_tokens,
            pad_token_id=self.tokenizer.pad_token_id,
            eos_token_id=self.tokenizer.eos_token_id,
            # Compiling the forward pass, which generation does with some caches, takes longer than to write a few
            # words.
            disable_compile=True,
        )
        texts = self.tokenizer.batch_decode(rows_NT[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [str(text) for text in texts]
