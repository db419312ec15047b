"""How Alembic reaches a control database: by the connection that it is handed, in its
transaction."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    # SQLite changes a column by copying its table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
