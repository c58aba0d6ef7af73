"""Make an ordinary model folder of a GGUF file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from w2s_rm.errors import ConfigError
from w2s_rm.files import put_in_place
from w2s_rm.programs.launched import held, quiet_progress, read_config, refuse_finished
from w2s_rm.runs.gguf import require_gguf
from w2s_rm.training.modeling import quiet_loading


def convert(argv: Sequence[str]) -> None:
    """Run the stage: writes `model/`, bfloat16 weights in safetensors and the tokenizer.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        ConfigError: The file is not whole, or of an architecture or a quantisation that transformers cannot read.
    """
    config, output = read_config(argv)
    quiet_progress()
    with held(output) as folder:
        refuse_finished(folder)
        # Of a try that was stopped.
        folder.remove("model.tmp", "model")
        source = Path(config["source"])
        _check_whole(source)
        model, tokenizer = _load(source)
        # It is an ordinary model from here on, and is saved as one.
        model.hf_quantizer, model.is_quantized = None, False
        del model.config.quantization_config
        model.to(torch.bfloat16).save_pretrained(output / "model.tmp")
        tokenizer.save_pretrained(output / "model.tmp")
        put_in_place(output / "model.tmp", output / "model")
        count = sum(parameter.numel() for parameter in model.parameters())
        folder.finish(stage="convert", counts={"parameters": count}, config=config)


def _check_whole(source: Path) -> None:
    """Refuse a file that ends before its weights do: transformers would say it in words of numpy's."""
    require_gguf(str(source))
    from gguf import GGUFReader

    try:
        GGUFReader(source)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        size = source.stat().st_size
        raise ConfigError(f"{source}: is no whole GGUF file ({size:,} bytes: {error}); download it again") from error


def _load(source: Path) -> tuple[Any, Any]:
    folder, name = str(source.parent), source.name
    try:
        # Dequantised to float32, so that weights are rounded to bfloat16 only once.
        with quiet_loading():
            model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
            return model, AutoTokenizer.from_pretrained(folder, gguf_file=name)
    # Whatever an architecture or a quantisation that it does not know makes transformers raise.
    except (OSError, ValueError, KeyError, NotImplementedError, TypeError, AttributeError) as error:
        said = " ".join(str(error).split())
        raise ConfigError(
            f"{source}: transformers cannot read this GGUF file: {type(error).__name__}: {said}"
        ) from error
