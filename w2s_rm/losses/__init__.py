"""Weak-to-strong losses: one frozen dataclass per file, its fields are the recipe's options."""
