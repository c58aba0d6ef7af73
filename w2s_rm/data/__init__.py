"""Datasets on disk: reading, splitting, encoding, and the store of weak labels."""
