"""The units of work, one file each, each a program: `accelerate launch -m w2s_rm.stages.<kind> --config stage.yaml`."""

from w2s_rm.runs.processes import die_with_run
from w2s_rm.stages._base import (
    Examples,
    Features,
    Labels,
    Model,
    Reference,
    Scores,
    Stage,
    enters_config,
    extra,
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
    "extra",
    "held",
    "recorded",
]

# Here, and not when the stage begins: the imports that come before that take seconds.
die_with_run()
