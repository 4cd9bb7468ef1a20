"""What every test stands on: no variable of the developer's shell may change a configuration under test."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_tongpin_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TONGPIN_")]:
        monkeypatch.delenv(name)
