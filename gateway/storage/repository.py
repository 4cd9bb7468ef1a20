"""The repository over SQLAlchemy's asyncio engine."""

from tongpin.gateway.storage.people import SqlPeople
from tongpin.gateway.storage.places import SqlPlaces
from tongpin.gateway.storage.things import SqlThings


class SqlRepository(SqlPeople, SqlThings, SqlPlaces):
    """Agencies, users, talk groups, units and grids: the ports of ``gateway/records.py`` and ``gateway/things.py``."""
