"""Runs the migrations of the planner on the connection that it is given."""

from alembic import context
from service.engine.database import migrations

connection = context.config.attributes["connection"]
context.configure(connection=connection, **migrations.comparison(connection.dialect))
with connection.begin(), context.begin_transaction():
    context.run_migrations()
