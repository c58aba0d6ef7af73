"""The units of work, one file each, each a program: `accelerate launch -m w2s_rm.stages.<kind> --config stage.yaml`."""

import os

from w2s_rm.runs.processes import LAUNCHED_VARIABLE, die_with_parent
from w2s_rm.stages._base import (
    Examples,
    Features,
    Labels,
    Model,
    Reference,
    Scores,
    Stage,
    enters_config,
    held,
    recorded,
)

__all__ = [
    "Examples",
    "Features",
    "Labels",
    "Model",
    "Reference",
    "Scores",
    "Stage",
    "enters_config",
    "held",
    "recorded",
]

# Here, and not when the stage begins: the imports that come before that take seconds.
if LAUNCHED_VARIABLE in os.environ:
    die_with_parent()
