"""Train a model on labels or on the truth, save it, and prove that what was saved is what was trained."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
from transformers import PrinterCallback

from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ConfigError
from w2s_rm.files import put_in_place
from w2s_rm.programs.launched import Configured, held, is_main_process, parse_model_stage, recorded, refuse_finished
from w2s_rm.programs.scoring import build_trainer, encode, encoding_counts, template_counts, to_rows
from w2s_rm.programs.targets import training_margins, training_targets
from w2s_rm.programs.training_record import StageRecord, clean, last_checkpoint
from w2s_rm.report.cards import write_card
from w2s_rm.runs.folder import StageFolder, package_versions
from w2s_rm.runs.hub import hub_problems, push_model
from w2s_rm.training.facts import ScoringFacts, kind_of, write_facts
from w2s_rm.training.modeling import freeze_all_but, merge_adapter, peft_config, stage_tokenizer, verify_saved

_PROBE_EXAMPLES = 8
# Their candidates give mean and deviation of the scores to a few hundredths of the deviation.
_SCALE_EXAMPLES = 500


def train(argv: Sequence[str], kind: Configured) -> None:
    """Run the stage.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir` and any field of the arguments.
        kind ([`~w2s_rm.programs.launched.Configured`]): The stage's class.
    """
    stage_args, args, model_args, output = parse_model_stage(argv, kind)
    with held(output) as folder:
        refuse_finished(folder)
        pushed = _take_push(args)
        examples = read_examples(Path(stage_args.examples))
        targets = training_targets(examples, stage_args.labels, stage_args.examples)
        tokenizer = stage_tokenizer(model_args, args)
        encoded = encode(stage_args.setting, tokenizer, examples, args.max_length, stage_args.head)
        rows = to_rows(examples, encoded, targets, training_margins(examples, stage_args.labels))
        adapter, callbacks = peft_config(stage_args.head, model_args), [StageRecord(output)]
        trainer = build_trainer(stage_args, args, model_args, rows, tokenizer, peft_config=adapter, callbacks=callbacks)
        if stage_args.trainable_layers is not None:
            layers, again = stage_args.trainable_layers, args.gradient_checkpointing
            freeze_all_but(stage_args.head, trainer.model, layers, checkpointing=again)
        # Without a progress bar transformers prints each log; they are kept in metrics.jsonl.
        trainer.remove_callback(PrinterCallback)
        trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        probe = rows.select(range(min(_PROBE_EXAMPLES, len(rows))))
        scale = _scale(trainer, rows)
        difference = _save(trainer, probe, folder, stage_args, model_args, kind_of(examples[0].candidates[0]))
        if is_main_process():
            counts = {
                **encoding_counts(encoded),
                **template_counts(tokenizer),
                "layout": f"{trainer.layout.name}: {trainer.layout.reason}",
                "steps": trainer.state.global_step,
                "reload_difference": difference,
                **scale,
            }
            clean(folder)
            write_card(output, {"counts": counts, "packages": package_versions()})
            folder.finish(stage="train", counts=counts, config=recorded(stage_args, args))
            if pushed:
                push_model(output / "model", pushed)


def _take_push(args: Any) -> dict[str, Any]:
    """Take the upload from the trainer, which would push checkpoints, to one place for all stages; empty for none.

    Raises:
        ConfigError: The name is none for the hub, or nobody is logged in.
    """
    if not args.push_to_hub:
        return {}
    names = ("push_to_hub", "hub_model_id", "run_name", "hub_token", "hub_private_repo", "hub_revision")
    config = {name: getattr(args, name) for name in names}
    args.push_to_hub = False
    problems = hub_problems([config]) if is_main_process() else []
    if problems:
        raise ConfigError("; ".join(problems))
    return config


def _scale(trainer: Any, rows: datasets.Dataset) -> dict[str, float]:
    """Measure the scale of the scores on some of the training examples, evenly spaced, on all ranks."""
    sample = rows.select(range(0, len(rows), -(-len(rows) // _SCALE_EXAMPLES)))
    scores = [score for part in trainer.score_rows(sample) for row in part for score in row.scores]
    mean, spread = statistics.fmean(scores), statistics.pstdev(scores)
    return {"scored_examples": len(sample), "score_mean": mean, "score_std": spread}


def _save(
    trainer: Any, probe: datasets.Dataset, folder: StageFolder, stage_args: Any, model_args: Any, kind: str
) -> float:
    """Save `model/` as an ordinary folder and compare its scores on the probe with the trainer's."""
    # Before saving, and on all ranks: under ZeRO-3 none has the whole model to score with.
    scored = [row for part in trainer.score_rows(probe) for row in part]
    written = folder.path / "model.tmp"
    saved = folder.path / "adapter" if model_args.use_peft else written
    trainer.save_model(str(saved))
    trainer.accelerator.wait_for_everyone()
    difference = 0.0
    if is_main_process():
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        # Else what is loaded from here on would be sharded over ranks that do not take part.
        unset_hf_deepspeed_config()
        if model_args.use_peft:
            merge_adapter(stage_args.head, model_args, trainer.args, saved, written, stage_args.classes)
        for output in (written, saved):
            # A pickle: it names folders of this machine, and to load it is to run what it says.
            (output / "training_args.bin").unlink(missing_ok=True)
        args, batch = trainer.args, trainer.data_collator(list(probe))
        difference = verify_saved(
            stage_args.head,
            written,
            batch,
            [row.scores for row in scored],
            args.device,
            bool(args.bf16),
            args.trust_remote_code,
        )
        if trainer.head.gives_rewards:
            facts = ScoringFacts(kind, stage_args.head, args.max_length, bool(args.bf16))
            write_facts(written, facts)
        put_in_place(written, folder.path / "model")
    # No rank leaves while the first one still merges, compares and writes.
    trainer.accelerator.wait_for_everyone()
    return difference
