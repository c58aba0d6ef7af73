"""What the programs share: reading a stage config, holding the folder, leaving together."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from w2s_rm import catalog
from w2s_rm.errors import EXIT_USER_ERROR, ConfigError, W2SError, system_problem, unwritten
from w2s_rm.files import parse_yaml, write_yaml
from w2s_rm.runs.folder import StageFolder, lock
from w2s_rm.runs.launch import ON_CPUS_VARIABLE
from w2s_rm.runs.processes import WATCHED_VARIABLE
from w2s_rm.runs.progress import Report, Reporter, told_end


class Configured(Protocol):
    """A class of stages, as a program that reads their configs needs it: [`~w2s_rm.stages.Stage`]."""

    def config_fields(self) -> Iterator[tuple[str, Any, Any]]:
        """Name, type and default of each field that stands in a config; a reference stands there as its path."""
        ...


def stage_arguments(kind: Configured) -> type:
    """Make the dataclass with which TRL's parser reads a stage's own fields, beside the trainer's and the model's.

    Args:
        kind ([`Configured`]): A stage that trains, scores or reads features.
    """
    from trl import ModelConfig

    from w2s_rm.training.config import W2SRewardConfig

    others = {option.name for known in (W2SRewardConfig, ModelConfig) for option in dataclasses.fields(known)}
    made = [
        (name, annotation, _argument(default, "See the class of the stage."))
        for name, annotation, default in kind.config_fields()
        # Options stand in a config by their own names. What the arguments of trainer or model have as well is theirs,
        # such as `seed` and `model_name_or_path`.
        if name not in ("options", *others)
    ]
    # A dataclass wants fields without a default first.
    # False sorts before true: first those with neither a default nor a factory.
    made.sort(key=lambda entry: (entry[2].default, entry[2].default_factory) != (dataclasses.MISSING,) * 2)
    for name, annotation in (("stage", str | None), ("inputs", Any), ("stage_hash", str | None)):
        made.append((name, annotation, _argument(None, "What the planner wrote; recorded.")))
    return dataclasses.make_dataclass("StageArguments", made)


def _argument(default: Any, text: str) -> Any:
    if default == ():
        return field(default_factory=list, metadata={"help": text})
    return field(default=default, metadata={"help": text})


def recorded(stage_args: Any, args: Any) -> dict[str, Any]:
    """Return what of a model stage's arguments its manifest records.

    Args:
        stage_args (`Any`): Hash and inputs, where a planner wrote them.
        args ([`~w2s_rm.W2SRewardConfig`]): The seed.
    """
    return {"stage_hash": stage_args.stage_hash, "inputs": stage_args.inputs or {}, "seed": args.seed}


def is_main_process() -> bool:
    """Whether this is rank 0 of its launch, or the only process."""
    # Known before torch is imported and the processes have found each other.
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def held(folder: Path) -> Iterator[StageFolder]:
    """Hold a stage folder on rank 0; other ranks only learn its path. It is told there how the work ends."""
    first, stage = is_main_process(), StageFolder(folder)
    with contextlib.ExitStack() as stack:
        if first:
            stack.enter_context(lock(folder))
        # Of a finished stage it is told already; whoever asks for it again is refused.
        if not stage.was_finished:
            stack.enter_context(told_end(folder, first=first))
        yield stage


def run_main(program: Callable[[Sequence[str]], None]) -> None:
    """Run a stage as a program: its errors become one message and exit code 2, and ranks leave together.

    Args:
        program (`Callable`): What to run; it takes the command line.
    """
    try:
        program(sys.argv[1:])
        leave_together()
    except W2SError as error:
        # Most errors are met by all ranks, and one tells; a NaN may be on one rank alone.
        if is_main_process() or isinstance(error, ArithmeticError):
            print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except OSError as error:
        # Only the rank that met it knows: a folder or a disk may be one machine's own.
        print(f"error: {system_problem(error)}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)
    except Exception as error:
        problem = unwritten(error)
        if problem is None:
            raise
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(EXIT_USER_ERROR)


def leave_together() -> None:
    """End a rank of a launch that has done its work, with exit code 0, when all ranks have; a process alone goes on.

    Whatever a launch runs calls it last: the torch elastic agent takes all ranks down when one ends badly.
    """
    if "torch" not in sys.modules:
        return
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    # A rank that exits while others still write takes the launch down.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    # The group's threads live for as long as anything holds it, such as the wrapped model. One that drops a tensor of
    # Python's while Python is taken apart is ended within a destructor, which aborts the process: "terminate called
    # without an active exception", pytorch/pytorch#38228 and #190489. So all that is done at exit is done, as
    # multiprocessing does it for its children, and nothing is taken apart.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def read_config(argv: Sequence[str]) -> tuple[dict[str, Any], Path]:
    """Read `--config FILE` and `--output_dir FOLDER` of a stage that hands no options on to TRL.

    Args:
        argv (`Sequence[str]`): The command line.

    Raises:
        ConfigError: `--config` is missing or not a mapping, or an argument is unknown.
    """
    config, output, rest = split_arguments(argv)
    if rest:
        raise ConfigError(f"unknown arguments: {' '.join(rest)}; this stage takes --config and --output_dir")
    return config, output


def split_arguments(argv: Sequence[str]) -> tuple[dict[str, Any], Path, list[str]]:
    """Take `--config` and `--output_dir` out of a command line.

    Returns:
        The config, the output folder (by default `runs/launched/<folder of the config>`) and all other arguments.
    """
    rest, named = list(argv), {}
    for name in ("--config", "--output_dir"):
        if name in rest:
            index = rest.index(name)
            if index + 1 == len(rest):
                raise ConfigError(f"{name} needs a value")
            named[name] = rest[index + 1]
            del rest[index : index + 2]
    if "--config" not in named:
        raise ConfigError("give --config STAGE.yaml; `w2s-rm run` writes one into every stage folder")
    path = Path(named["--config"])
    if not path.is_file():
        raise ConfigError(f"{path}: no such stage config")
    config = parse_yaml(path.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ConfigError(f"{path}: a stage config is a mapping")
    output = named.get("--output_dir", config.pop("output_dir", None))
    return config, Path(output) if output else Path("runs/launched") / path.resolve().parent.name, rest


def refuse_finished(folder: StageFolder) -> None:
    """Never overwrite a finished stage.

    Raises:
        ConfigError: The folder has a manifest.
        ArtifactError: It has one, and does not hold what that vouches for.
    """
    if folder.finished:
        raise ConfigError(f"{folder.path} is finished; remove it, or give another --output_dir")
    if folder.was_finished:
        folder.verify(lambda name: False)


def parse_model_stage(argv: Sequence[str], kind: Configured) -> tuple[Any, Any, Any, Path]:
    """Parse with TRL's parser the config and overrides of a stage that trains, scores or reads features.

    Args:
        argv (`Sequence[str]`): The command line.
        kind ([`Configured`]): The class of the stage.

    Returns:
        The stage's, the trainer's (`W2SRewardConfig`) and the model's (`ModelConfig`) arguments, and the folder.

    Raises:
        ConfigError: An unknown key or argument.
    """
    from trl import ModelConfig, TrlParser

    from w2s_rm.training.config import W2SRewardConfig

    quiet_warnings()
    config, output, rest = split_arguments(argv)
    stage_class: Any = kind
    if config.get("stage") not in (None, catalog.name_of(stage_class)):
        raise ConfigError(
            f"this is the config of a stage {config['stage']}; run it with -m w2s_rm.stages.{config['stage']}"
        )
    config |= machine_defaults(config)
    config["output_dir"] = str(output / "trainer")
    kinds: Any = (stage_arguments(kind), W2SRewardConfig, ModelConfig)
    parser = TrlParser(kinds)
    unknown = parser.set_defaults_with_config(**config)
    if unknown:
        # The parser gives them back as arguments: a name, then its value.
        raise ConfigError(f"unknown keys in the stage config: {' '.join(unknown[::2])}")
    try:
        stage_args, args, model_args = parser.parse_args_into_dataclasses(args=rest)
    except ValueError as error:
        raise ConfigError(f"the stage config does not fit: {error}") from error
    if args.n_gpu > 1:
        # One process that sees several GPUs would use them all at once and multiply the batch that the recipe asks for.
        args._n_gpu = 1
    if not shows_progress():
        args.disable_tqdm = True
        quiet_progress()
    # With other options it is another stage than the hash in its config says.
    overridden = [word[2:].partition("=")[0].replace("-", "_") for word in rest if word.startswith("--")]
    if overridden:
        stage_args.stage_hash = None
    values = {**vars(model_args), **vars(args), **vars(stage_args)}
    _record_config(output, {**config, **{name: values[name] for name in (*overridden, "stage_hash")}})
    return stage_args, args, model_args, output


def _record_config(output: Path, config: Mapping[str, Any]) -> None:
    """Leave the resolved config of a stage that was launched by hand; a run has written it already."""
    if is_main_process() and not (output / "config.yaml").exists():
        write_yaml(output / "config.yaml", {key: value for key, value in config.items() if key != "output_dir"})


def machine_defaults(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the training options that CPUs need where a launch is for them, and make DeepSpeed ready to begin.

    Args:
        config (`Mapping[str, Any]`): What the recipe says.
    """
    import torch
    from accelerate.utils import parse_flag_from_env

    from w2s_rm.training.extension_builds import lock_builds

    lock_builds()
    # Set by `Launch.command`, since `accelerate launch` tells several processes nothing of a config's `use_cpu`.
    on_cpus = parse_flag_from_env(ON_CPUS_VARIABLE)
    if torch.accelerator.is_available() and not on_cpus:
        return {}
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    # Without it the ranks would not find each other.
    return {"use_cpu": on_cpus or config.get("use_cpu", True)}


def quiet_warnings() -> None:
    """Hide warnings that a user can do nothing about: TRL sets the one by default, DeepSpeed causes the others."""
    warnings.filterwarnings("ignore", r"`(is_)?gradient_checkpointing` is deprecated", FutureWarning)
    warnings.filterwarnings("ignore", r"`torch\.distributed\..*` is deprecated", FutureWarning)


def reporter(folder: Path, unit: str) -> Report | None:
    """What says in a stage's folder how far it is; on the first rank alone.

    Args:
        folder (`Path`): The stage's folder.
        unit (`str`): What is counted.
    """
    return Reporter(folder, unit) if is_main_process() else None


def shows_progress() -> bool:
    """Whether a program shows progress bars of its own: in a terminal that nobody else draws in."""
    return sys.stderr.isatty() and WATCHED_VARIABLE not in os.environ


def quiet_progress() -> None:
    """Show no progress bars: they belong to a terminal."""
    import datasets
    from transformers.utils import logging

    logging.disable_progress_bar()
    datasets.disable_progress_bars()


def score_without_zero() -> None:
    """Score on the plain distributed path under ZeRO-1 and ZeRO-2.

    They shard gradients and optimizer states; without either every rank holds the whole model anyway, and DeepSpeed has
    no inference engine for them. Must run before the training arguments are made.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true" and zero_stage() < 3:
        del os.environ["ACCELERATE_USE_DEEPSPEED"]


def zero_stage() -> int:
    """Return the ZeRO stage that `accelerate launch` asked for, from its environment."""
    path = os.environ.get("ACCELERATE_DEEPSPEED_CONFIG_FILE")
    # accelerate's word for no file (`DeepSpeedPlugin`).
    if path and path != "none":
        return int(json.loads(Path(path).read_text(encoding="utf-8")).get("zero_optimization", {}).get("stage", 0))
    return int(os.environ.get("ACCELERATE_DEEPSPEED_ZERO_STAGE", "0"))
