"""Train a model on labels or on the truth, save it, and prove that what was saved is what was trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
from transformers import PrinterCallback

from w2s_rm.data.examples import read_examples
from w2s_rm.errors import ConfigError
from w2s_rm.features.options import TOKENS, column
from w2s_rm.features.store import StoredRows
from w2s_rm.files import put_in_place
from w2s_rm.programs.curve import PARTS, Curve, held_out
from w2s_rm.programs.keeping import KEPT, Keeper, Saved, probe_of, save
from w2s_rm.programs.launched import Configured, held, is_main_process, parse_model_stage, recorded, refuse_finished
from w2s_rm.programs.scoring import build_trainer, encode, encoding_counts, template_counts, to_rows
from w2s_rm.programs.targets import training_margins, training_targets
from w2s_rm.programs.training_record import StageRecord, clean, last_checkpoint
from w2s_rm.report.cards import write_card
from w2s_rm.runs.folder import StageFolder, package_versions
from w2s_rm.runs.hub import hub_problems, push_model
from w2s_rm.training.evaluations import Evaluations
from w2s_rm.training.facts import ScoringFacts, kind_of, write_facts
from w2s_rm.training.frozen_layers import FrozenLayers, layers_of
from w2s_rm.training.modeling import freeze_all_but, peft_config, stage_tokenizer
from w2s_rm.training.saved import merge_adapter, verify_saved
from w2s_rm.types import END

_WRITTEN = "model.tmp"


def train(argv: Sequence[str], kind: Configured) -> None:
    """Run the stage.

    Args:
        argv (`Sequence[str]`): `--config stage.yaml`, optionally `--output_dir` and any field of the arguments.
        kind ([`~w2s_rm.programs.launched.Configured`]): The stage's class.
    """
    stage_args, args, model_args, output = parse_model_stage(argv, kind)
    with held(output) as folder:
        refuse_finished(folder)
        # Before the examples are read: who is not logged in shall not hear of it after a training.
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
            if stage_args.frozen_states is not None:
                stored = StoredRows(Path(stage_args.frozen_states), column(-layers, TOKENS))
                count = len(layers_of(trainer.model)[0]) - layers
                trainer.frozen = FrozenLayers(trainer.model, count, stored)
        # Without a progress bar transformers prints each log; they are kept in metrics.jsonl.
        trainer.remove_callback(PrinterCallback)
        keeper = _keeper(trainer, folder, stage_args, rows)
        curve = _add_curve(trainer, folder, keeper, stage_args, tokenizer)
        trainer.train(resume_from_checkpoint=last_checkpoint(folder))
        place = folder.path / ("adapter" if model_args.use_peft else _WRITTEN)
        saved = save(trainer, rows, place) if keeper is None else keeper.take(place)
        trained_on = kind_of(examples[0].candidates[0])
        differences = _publish(trainer, probe_of(rows), saved, place, folder, stage_args, model_args, trained_on)
        if is_main_process():
            counts = {
                **encoding_counts(encoded),
                **template_counts(tokenizer),
                "layout": f"{trainer.layout.name}: {trainer.layout.reason}",
                "steps": trainer.state.global_step,
                **differences,
                **saved.scale,
                **({} if curve is None else {**curve.join(), "kept_step": saved.step}),
            }
            clean(folder)
            # Only now: with a checkpoint left, a run could go on from it and ask for what was joined and kept.
            folder.remove(PARTS, KEPT)
            write_card(output, {"counts": counts, "packages": package_versions()})
            folder.finish(stage="train", counts=counts, config=recorded(stage_args, args))
            # After the manifest: what the hub refuses is finished all the same, and is not trained again.
            if pushed:
                push_model(output / "model", pushed)


def _keeper(trainer: Any, folder: StageFolder, stage_args: Any, rows: datasets.Dataset) -> Keeper | None:
    """What keeps the best model, where it is not the last one that is saved.

    Raises:
        ConfigError: Nothing is there to choose it by; a plan says so before.
    """
    if stage_args.keep == END:
        return None
    if stage_args.evaluations is None or stage_args.validation is None:
        raise ConfigError(f"keep {stage_args.keep}: give evaluations and a validation split, or keep {END}")
    return Keeper(trainer, folder, rows)


def _add_curve(
    trainer: Any, folder: StageFolder, keeper: Keeper | None, stage_args: Any, tokenizer: Any
) -> Curve | None:
    """Let a trainer score held-out splits between its steps, where the stage says so, and keep the best model."""
    if stage_args.evaluations is None:
        return None
    evaluations = Evaluations(stage_args.evaluations, stage_args.evaluation_spacing, stage_args.keep)
    splits = held_out(stage_args, trainer.args, tokenizer)
    curve = Curve(trainer, folder, evaluations, splits, keeper.offer if keeper is not None else None)
    # The keeper first: what was kept must be known before anything is judged.
    # Both behind `StageRecord`, which the trainer was made with: a checkpoint is marked as whole before the keeper
    # drops what came before it.
    for callback in filter(None, (keeper, curve)):
        trainer.add_callback(callback)
    return curve


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
    # One rank asks for all, and its error ends the launch.
    problems = hub_problems([config]) if is_main_process() else []
    if problems:
        raise ConfigError("; ".join(problems))
    return config


def _publish(
    trainer: Any,
    probe: datasets.Dataset,
    saved: Saved,
    place: Path,
    folder: StageFolder,
    stage_args: Any,
    model_args: Any,
    trained_on: str,
) -> dict[str, float]:
    """Make `model/` of what was saved, an ordinary folder; return how its scores on the probe differ."""
    written = folder.path / _WRITTEN
    differences: dict[str, float] = {}
    if is_main_process():
        from transformers.integrations.deepspeed import unset_hf_deepspeed_config

        # Else what is loaded from here on would be sharded over ranks that do not take part.
        unset_hf_deepspeed_config()
        args, batch, expected = trainer.args, trainer.data_collator(list(probe)), saved.probe
        if model_args.use_peft:
            head, classes = stage_args.head, stage_args.classes
            expected, differences = merge_adapter(head, model_args, args, place, written, batch, expected, classes)
        for output in (written, place):
            # A pickle: it names folders of this machine, and to load it is to run what it says.
            (output / "training_args.bin").unlink(missing_ok=True)
        differences["reload_difference"] = verify_saved(
            stage_args.head,
            written,
            batch,
            expected,
            args.device,
            bool(args.bf16),
            args.trust_remote_code,
        )
        if trainer.head.gives_rewards:
            facts = ScoringFacts(trained_on, stage_args.head, args.max_length, bool(args.bf16))
            write_facts(written, facts)
        put_in_place(written, folder.path / "model")
    # No rank leaves while the first one still merges, compares and writes.
    trainer.accelerator.wait_for_everyone()
    return differences
