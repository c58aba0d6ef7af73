"""What is done to the strong model before it is trained, for student and ceiling alike: one file each."""

from w2s_rm.preparations._base import Preparation

__all__ = ["Preparation"]
