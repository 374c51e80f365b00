"""Runs the migrations on an open connection, inside its transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's settings for the revisions that came with this program; ``env.py`` takes the connection."""
    config = Config(attributes={"connection": connection})
    # The option goes through configparser, where a per cent sign interpolates.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest revision; the caller commits."""
    command.upgrade(configuration(connection), "head")
