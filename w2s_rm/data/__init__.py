"""Datasets on disk: reading, splitting, examples, and the store of weak labels."""
