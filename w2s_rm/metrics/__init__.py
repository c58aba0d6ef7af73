"""Accuracy, PGR and agreement, with intervals. Pure numpy; the `evaluate` forms are in `modules.py`."""
