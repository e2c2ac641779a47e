"""Alembic's entry point; `state.migrate` passes the open connection."""

from alembic import context

from state.cloud import tables as _cloud_tables  # noqa: F401  # puts its tables beside the others
from state.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
