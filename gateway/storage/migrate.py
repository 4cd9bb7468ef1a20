"""Bring a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from tongpin.gateway.errors import StoreError

_FOLDER = Path(__file__).parent / "migrations"


def alembic_config(url: str) -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def upgrade(url: str) -> None:
    """Make or migrate the schema. Blocking, and runs a loop of its own: call it from a thread, or before there is one.

    Raises:
        StoreError: the database cannot be reached or migrated.
    """
    try:
        command.upgrade(alembic_config(url), "head")
    except ImportError as error:
        raise StoreError(f"the driver of storage.url is not installed: {error.name}") from error
    except (SQLAlchemyError, CommandError, OSError) as error:
        raise StoreError(f"the database cannot be brought up to date: {error}") from error
