"""The embedded world for the examples: a policy, a weakly supervised reward model, questions, and who knows the truth.

python examples/world.py [RUNS]

These are stages of recipes/policy/quickstart.yaml with seed 0, made once and shared by all examples.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from w2s_rm import bundled
from w2s_rm.data.examples import read_examples
from w2s_rm.errors import StageError, W2SError
from w2s_rm.experiment.executors import run_inline
from w2s_rm.experiment.plan import in_order, make_plan
from w2s_rm.experiment.recipe import Recipe, load_recipe
from w2s_rm.experiment.run import print_line, run_stage
from w2s_rm.roles import STUDENT
from w2s_rm.runs.processes import die_with_parent
from w2s_rm.stages import Stage
from w2s_rm.stages.prepare import Prepare
from w2s_rm.stages.pretrain import Pretrain
from w2s_rm.stages.train import Train
from w2s_rm.types import Example

RECIPE = bundled.folder("recipes") / "policy" / "quickstart.yaml"
METHOD = "naive"
# What `accelerate launch` and torchrun tell a process about its siblings; the world is made by one process.
_LAUNCH = ("ACCELERATE_", "TORCHELASTIC_", "FSDP_", "GROUP_", "LOCAL_", "MASTER_", "RANK", "ROLE_", "WORLD_SIZE")


@dataclass(frozen=True)
class World:
    """What an example starts from.

    Args:
        policy (`str`): Folder of a language model that knows the facts, but answers right only about 60 % of the time.
        reward_model (`str`): Folder of a reward model that was trained on a weak model's labels.
        train (`list[Example]`): Questions that no reward model has seen.
        test (`list[Example]`): Questions that neither policy nor reward model sees before the end.
        judge (`Callable[[Example, str], bool]`): Whether an answer is truly right.
    """

    policy: str
    reward_model: str
    train: list[Example]
    test: list[Example]
    judge: Callable[[Example, str], bool]


def embedded_world(runs: Path) -> World:
    """Give the embedded world; the first time the main process makes it, in over a minute, while the others wait.

    Args:
        runs (`Path`): Folder of the runs.

    Raises:
        StageError: Making it failed; the message stands above.
    """
    from accelerate import PartialState

    recipe, stages = plan(runs)
    with PartialState().main_process_first():
        if not all(stage.cached for stage in stages):
            _make_apart(runs)
    student = next(stage for stage in stages if isinstance(stage, Train) and stage.of == STUDENT)
    policy = next(
        stage for stage in stages if isinstance(stage, Pretrain) and stage.pretrain["corpus"]["name"] == "answers"
    )
    examples = next(stage for stage in stages if isinstance(stage, Prepare)).folder / "examples"
    return World(
        policy=policy.model.path,
        reward_model=student.model.path,
        train=read_examples(examples / "validation.parquet"),
        test=read_examples(examples / "test.parquet"),
        judge=recipe.task().judge,  # type: ignore[attr-defined]
    )


def plan(runs: Path) -> tuple[Recipe, list[Stage]]:
    """Plan what leads to the student's reward model and to the policy: nothing is evaluated, no ceiling is trained.

    Args:
        runs (`Path`): Folder of the runs.
    """
    recipe = load_recipe(RECIPE, ["seeds=[0]"])
    stages = make_plan(recipe, runs).stages
    students = [stage for stage in stages if isinstance(stage, Train) and (stage.of, stage.method) == (STUDENT, METHOD)]
    return recipe, in_order([*(stage for stage in stages if isinstance(stage, Pretrain)), *students])


def _make_apart(runs: Path) -> None:
    """Make it in a process of its own, which knows of no launch and sees no GPU: the models are tiny."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_LAUNCH)}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    made = subprocess.run([sys.executable, __file__, str(runs)], env=environment, preexec_fn=die_with_parent)
    if made.returncode != 0:
        raise StageError(f"the embedded world could not be made in {runs}; the message stands above")


def main() -> None:
    """Make the stages that are missing; models are pretrained side by side, each on a core."""
    _, stages = plan(Path(sys.argv[1] if len(sys.argv) > 1 else "runs"))
    titles = {stage.folder: f"[{number}/{len(stages)}] {stage.title}" for number, stage in enumerate(stages, start=1)}

    def make(stage: Stage) -> None:
        run_stage(stage, titles[stage.folder], _run_apart if isinstance(stage, Pretrain) else run_inline, print_line)

    pretrained = [stage for stage in stages if isinstance(stage, Pretrain)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(make, pretrained))
    for stage in stages:
        if stage not in pretrained:
            make(stage)


def _run_apart(stage: Stage) -> None:
    if subprocess.run(stage.command(), preexec_fn=die_with_parent).returncode != 0:
        raise StageError(f"stage {stage.title} failed; its message stands above")


if __name__ == "__main__":
    try:
        main()
    except W2SError as error:
        sys.exit(f"error: {error}")
