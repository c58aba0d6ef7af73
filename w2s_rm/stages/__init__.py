"""The units of work. Each runs alone: `accelerate launch -m w2s_rm.stages.<name> --config stage.yaml`."""

import os

from w2s_rm.experiment.processes import LAUNCHED_VARIABLE, die_with_parent

# Here, and not when the stage begins: the imports that come before that take seconds.
if LAUNCHED_VARIABLE in os.environ:
    die_with_parent()
