"""Small real models and datasets, made once for a test session."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import contextlib
import gc
import io
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from training_helpers import WORDS

pytest_plugins = ["pytester"]
# What a shell or a launcher may have set, and what would then change a width, a colour, a cache or a process group.
_FOREIGN = ("ACCELERATE_", "COLUMNS", "FORCE_COLOR", "LINES", "LOCAL_RANK", "MASTER_", "RANK", "W2S_RM_", "WORLD_SIZE")
for _name in [name for name in os.environ if name.startswith(_FOREIGN)]:
    del os.environ[_name]


# Whether content has reached the disk no test can see, short of a power cut: to wait for that is to wait for nothing.
os.fsync = lambda number: None


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter of bytes by its argument: content such as gzip's may differ from one process to the next."""
    return argname if isinstance(val, bytes | bytearray) else None


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives to the end: a training has it walk all objects, PPO twice in each step."""
    gc.collect()
    gc.freeze()


_SECONDS = [0.0]
"""That tests have taken since."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Spare it now and then what tests have imported, which lives to the end, too."""
    _SECONDS[0] += report.duration
    # When a test has let go of what it made.
    if report.when == "teardown" and _SECONDS[0] > 1:
        gc.collect()
        gc.freeze()
        _SECONDS[0] = 0.0


@pytest.fixture(scope="session")
def tiny_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Build a word-level tokenizer; `pad` and `eos` may be missing or the same token."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    def build(pad: str | None = "<pad>", eos: str | None = "<eos>", side: str = "right") -> Any:
        vocabulary = {word: index for index, word in enumerate(["<pad>", "<eos>", "<unk>", *WORDS])}
        inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return PreTrainedTokenizerFast(
            tokenizer_object=inner, pad_token=pad, eos_token=eos, unk_token="<unk>", padding_side=side
        )

    return build


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Callable[..., Any]) -> Callable[..., str]:
    """Save a tiny sequence-classification model with its tokenizer and return the folder."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    saved: dict[tuple[str, str], str] = {}

    def build(architecture: str = "llama", pad: str = "<pad>") -> str:
        key = (architecture, pad)
        if key not in saved:
            tokenizer = tiny_tokenizer(pad=pad)
            sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
            config = AutoConfig.for_model(
                architecture,
                vocab_size=len(tokenizer),
                intermediate_size=64,
                max_position_embeddings=256,
                num_labels=1,
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
                **sizes,
            )
            torch.manual_seed(0)
            model = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
            folder = tmp_path_factory.mktemp(architecture)
            # Saving imports DeepSpeed, which logs to standard output: a test must not find that in what it captured.
            with contextlib.redirect_stdout(io.StringIO()):
                model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            saved[key] = str(folder)
        return saved[key]

    return build


@pytest.fixture(scope="session")
def tiny_language_model(
    tmp_path_factory: pytest.TempPathFactory, tiny_tokenizer: Callable[..., Any]
) -> Callable[..., str]:
    """Save a tiny causal language model of random weights, far from uniform, with its tokenizer; return the folder."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    saved: dict[str, str] = {}

    def build(architecture: str = "llama") -> str:
        if architecture not in saved:
            tokenizer = tiny_tokenizer()
            config = AutoConfig.for_model(
                architecture,
                vocab_size=len(tokenizer),
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                max_position_embeddings=256,
                initializer_range=0.2,
                tie_word_embeddings=architecture == "qwen2",
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=None,
                eos_token_id=tokenizer.eos_token_id,
            )
            torch.manual_seed(0)
            folder = tmp_path_factory.mktemp(f"{architecture}_lm")
            with contextlib.redirect_stdout(io.StringIO()):
                AutoModelForCausalLM.from_config(config, dtype=torch.float32).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            saved[architecture] = str(folder)
        return saved[architecture]

    return build


@pytest.fixture(scope="session")
def pairs() -> Callable[..., list[dict[str, Any]]]:
    """Make preference rows in which the longer run of `w1` is better: learnable by a tiny model."""

    def make(count: int, seed: int = 0) -> list[dict[str, Any]]:
        generator = random.Random(seed)
        rows = []
        for number in range(count):
            prompt = " ".join(generator.choices(WORDS[10:], k=generator.randint(1, 9)))
            good = " ".join([""] + generator.choices(WORDS[10:], k=generator.randint(1, 8)) + ["w1"])
            bad = " ".join([""] + generator.choices(WORDS[10:], k=generator.randint(1, 8)) + ["w2"])
            rows.append({"id": f"pair{number}", "prompt": prompt, "chosen": good, "rejected": bad})
        return rows

    return make


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real data beside the checkout; tests that need it are skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the real data is not beside this checkout ({folder})")
    return folder
