"""What every test stands on: no variable of the developer's shell may change a configuration under test."""

import os

import pytest
from hypothesis import HealthCheck, settings

# How fast examples come says how busy the machine is, not whether the code is right.
settings.register_profile("tongpin", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tongpin")


@pytest.fixture(autouse=True)
def _no_tongpin_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TONGPIN_")]:
        monkeypatch.delenv(name)
