"""Train a language model on the texts of examples with TRL's trainer, and save it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
from transformers import AutoModelForCausalLM, PrinterCallback
from trl import ModelConfig, SFTConfig, SFTTrainer

from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ConfigError
from w2s_rm.files import put_in_place
from w2s_rm.programs.launched import (
    held,
    is_main_process,
    machine_defaults,
    quiet_progress,
    quiet_warnings,
    read_config,
    refuse_finished,
    shows_progress,
)
from w2s_rm.programs.training_record import StageRecord, clean, last_checkpoint
from w2s_rm.training.modeling import load_tokenizer, quiet_loading
from w2s_rm.types import Example


def finetune(argv: Sequence[str]) -> None:
    """Run the stage: writes `model/`.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir`.

    Raises:
        ConfigError: No language model loads from the path, or the trainer refuses its options.
    """
    config, output = read_config(argv)
    quiet_warnings()
    if not shows_progress():
        quiet_progress()
        config["disable_tqdm"] = True
    with held(output) as folder:
        refuse_finished(folder)
        args = SFTConfig(**_options(SFTConfig, config), output_dir=str(output / "trainer"))
        texts = _texts(read_examples(Path(config["examples"])))
        model, tokenizer = _load(config, args)
        trainer = SFTTrainer(
            model=model, args=args, train_dataset=texts, processing_class=tokenizer, callbacks=[StageRecord(output)]
        )
        # Without a progress bar transformers prints each log; they are kept in metrics.jsonl.
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        written = output / "model.tmp"
        # On all ranks: under ZeRO-3 the weights are gathered from them.
        trainer.save_model(str(written))
        trainer.accelerator.wait_for_everyone()
        if is_main_process():
            # A pickle: it names folders of this machine, and to load it is to run what it says.
            (written / "training_args.bin").unlink(missing_ok=True)
            put_in_place(written, output / "model")
            clean(folder)
            counts = {"texts": len(texts), "steps": trainer.state.global_step}
            folder.finish(stage="finetune", counts=counts, config=config)


def _options(kind: type, config: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a configuration of TRL's that a recipe's options name; those of reward models mean nothing here."""
    known = {option.name for option in dataclasses.fields(kind)}
    options = {**config, **machine_defaults(config)} if kind is SFTConfig else config
    # The model is loaded here, so that its revision and dtype are those of the recipe.
    return {
        name: value for name, value in options.items() if name in known and name not in ("model_init_kwargs", "loss")
    }


def _texts(examples: Sequence[Example]) -> datasets.Dataset:
    """Every prompt with each of its candidates."""
    pairs = [(example.prompt, candidate) for example in examples for candidate in example.candidates]
    if isinstance(pairs[0][1], str):
        return datasets.Dataset.from_dict({"text": [f"{prompt}{candidate}" for prompt, candidate in pairs]})
    return datasets.Dataset.from_list([{"messages": [*prompt, *candidate]} for prompt, candidate in pairs])


def _load(config: Mapping[str, Any], args: SFTConfig) -> tuple[Any, Any]:
    path = config["model_name_or_path"]
    model_args = ModelConfig(**{**_options(ModelConfig, config), "model_name_or_path": path})
    # Not the type that was saved, which transformers takes by default: all weights are trained, and in 16 bits they
    # take no small steps.
    settings: dict[str, Any] = {"revision": model_args.model_revision, "dtype": model_args.dtype or "float32"}
    settings["trust_remote_code"] = args.trust_remote_code
    if model_args.attn_implementation is not None:
        settings["attn_implementation"] = model_args.attn_implementation
    settings |= dict(config.get("model_init_kwargs") or {})
    try:
        with quiet_loading():
            model = AutoModelForCausalLM.from_pretrained(path, use_safetensors=True, **settings)
    except (OSError, ValueError, ImportError) as error:
        raise ConfigError(f"generative: no language model loads from {path!r}: {error}") from error
    remote = args.trust_remote_code
    tokenizer: Any = load_tokenizer(path, revision=model_args.model_revision, trust_remote_code=remote)
    if config.get("chat_template_path"):
        tokenizer.chat_template = Path(config["chat_template_path"]).read_text(encoding="utf-8")
    return model, tokenizer
