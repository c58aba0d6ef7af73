"""Weak-to-strong generalization on TRL, reward models first.

The trainers load torch and are imported on first use, so that the command line stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from w2s_rm.training.config import W2SRewardConfig
    from w2s_rm.training.reward_trainer import W2SRewardTrainer
    from w2s_rm.training.trainer import W2STrainer

__version__ = "0.1.0.dev0"
__all__ = ["W2SRewardConfig", "W2SRewardTrainer", "W2STrainer", "__version__"]

_LAZY = {
    "W2SRewardConfig": "w2s_rm.training.config",
    "W2SRewardTrainer": "w2s_rm.training.reward_trainer",
    "W2STrainer": "w2s_rm.training.trainer",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_LAZY[name]), name)
