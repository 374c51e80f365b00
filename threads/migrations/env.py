"""What alembic runs for each command; the connection and its transaction are the caller's."""

from __future__ import annotations

from alembic import context

from threads.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
