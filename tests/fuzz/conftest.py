"""Fuzzing is the same in every process and on every day; `--hypothesis-profile long` looks further."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

_COMMON = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("suite", derandomize=True, max_examples=60, **_COMMON)
settings.register_profile("long", max_examples=3000, print_blob=True, **_COMMON)


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--hypothesis-profile") is None:
        settings.load_profile("suite")
