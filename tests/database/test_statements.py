"""What holds for every prepared statement of the service."""

from __future__ import annotations

import re
import sys

import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import CompileError

import service.application  # with all its models
from service.engine.database.statements import Prepared

assert service.application
STATEMENTS = {
    f"{name}.{key}": statement
    for name, module in sorted(sys.modules.items())
    if name.startswith("service.")
    for key, statement in vars(module).items()
    if isinstance(statement, Prepared)
}
_DIALECTS = [sqlite.dialect(), postgresql.dialect()]


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_says_how_its_tables_are_joined(name: str) -> None:
    """A comma may mean that SQLAlchemy has not correlated a subquery with the rows around it."""
    compiled = 0
    for dialect in _DIALECTS:
        try:
            sql = str(STATEMENTS[name]._statement.compile(dialect=dialect))
        except CompileError:  # it is for the other database
            continue
        compiled += 1
        tables = re.findall(r"FROM ([^()]*?)(?: *\n|\)| WHERE|$)", sql)
        assert not [one for one in tables if "," in one]
    assert compiled
