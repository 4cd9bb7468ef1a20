"""The centre as a fixture."""

from collections.abc import AsyncIterator

import pytest

from tests.joint.centre import Centre, MovedClock, database


@pytest.fixture
async def centre(storage_url: str) -> AsyncIterator[Centre]:
    """No agreement is in force."""
    async with database(storage_url) as store:
        made = Centre(store, MovedClock())
        yield made
        made.runner.close()
