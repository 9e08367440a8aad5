"""What this service touches inside uvicorn, Flask and SQLAlchemy: a test that fails here after an
upgrade names what has gone, and who used it. Connexion has a file of its own."""

from __future__ import annotations

import inspect
import re
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import uvicorn
from psycopg import generators
from psycopg._py_transformer import Transformer as PyTransformer
from psycopg.abc import AdaptContext
from psycopg.errors import _WaitTimeout, error_from_result
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import PoolProxiedConnection
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from service.engine.serve.messages import Flow, Waiting


def named(*used: tuple[Any, str]) -> Any:
    """Parametrises a test with the names that are used of each class."""
    rows = [(owner, name) for owner, names in used for name in names.split()]
    ids = [f"{owner.__name__}.{name}" for owner, name in rows]
    return pytest.mark.parametrize(("owner", "name"), rows, ids=ids)


PROTOCOL = """loop transport parser pipeline server_state app_state connection_lost data_received
    on_header on_message_begin on_headers_complete on_message_complete on_response_complete
    pause_writing resume_writing shutdown url headers cycle flow _start_asgi_task
    _unset_keepalive_if_required connections server client scheme eof_received"""
CYCLE = """transport disconnected message_event more_body response_started response_complete
    keep_alive on_response waiting_for_100_continue"""
SERVER = """config server_state lifespan servers started should_exit force_exit _captured_signals
    startup main_loop on_tick shutdown handle_exit"""


@named(
    (HttpToolsProtocol, PROTOCOL),
    (RequestResponseCycle, CYCLE),
    (uvicorn.Server, SERVER),
)
def test_the_private_names_exist(owner: type, name: str) -> None:
    assert hasattr(owner, name) or f"self.{name}" in inspect.getsource(owner)


def test_a_wait_for_postgresql_can_have_a_timeout() -> None:
    assert "timeout" in inspect.signature(psycopg.Connection.wait).parameters
    assert issubclass(_WaitTimeout, psycopg.OperationalError)
    assert "_conn.wait(" in inspect.getsource(psycopg.Cursor.execute)


def test_the_pool_asks_the_dialect_whether_a_connection_is_there() -> None:
    # service/postgresql puts its own question there.
    assert "_do_ping_w_event" in inspect.getsource(sa.pool.base._ConnectionFairy._checkout)
    assert "self.do_ping(" in inspect.getsource(sa.engine.default.DefaultDialect._do_ping_w_event)
    assert "_checkin" in inspect.signature(sa.pool.Pool._invalidate).parameters
    assert {"_pool", "_connection_record"} <= {*sa.pool.base._ConnectionFairy.__slots__}
    assert "pool._invalidate_time > self.starttime" in inspect.getsource(sa.pool.base)


def test_psycopg_has_what_a_statement_without_its_cursor_needs() -> None:
    source = inspect.getsource(generators)
    assert "execute = _psycopg.execute" in source  # which waits as the generator in Python does
    assert {"connection", "adapters"} <= {*dir(AdaptContext)}
    assert {"set_loaders"} <= inspect.signature(PyTransformer.set_pgresult).parameters.keys()
    assert inspect.signature(PyTransformer.load_rows).parameters.keys() >= {"make_row"}
    assert inspect.signature(error_from_result).return_annotation == "Error"


def test_uvicorn_finds_what_it_asks_for_in_our_flow_control_and_pipeline() -> None:
    source = inspect.getsource(httptools_impl)
    for name, ours in (("flow", Flow), ("pipeline", Waiting)):
        asked = set(re.findall(rf"self\.{name}\.(\w+)", source))
        assert asked
        assert asked <= {*dir(ours)}


def test_a_new_connection_has_no_attribute_that_ours_does_not_set() -> None:
    source = inspect.getsource(HttpToolsProtocol.connection_made)
    names = set(re.findall(r"self\.(\w+) = ", source))
    assert names == {"transport", "flow", "server", "client", "scheme"}


def test_an_answer_is_written_to_the_transport_of_its_cycle() -> None:
    # web/sending puts its own there, which joins the head to the body.
    source = inspect.getsource(RequestResponseCycle)
    assert source.count("self.transport.write(") == 4  # head, chunk, body, 100 Continue
    assert "HTTP/1.1 100 Continue" in source


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["?", "named"])
def test_a_compiled_statement_names_its_parameters(dialect: Any) -> None:
    columns = sa.table("t", sa.column("a", sa.Integer), sa.column("b", sa.String))
    statement = sa.select(columns.c.a).where(columns.c.b == sa.bindparam("b")).limit(5)
    compiled = statement.compile(dialect=dialect)
    required = {name: bind.required for bind, name in compiled.bind_names.items()}
    assert required["b"]
    assert sum(required.values()) == 1
    assert 5 in compiled.params.values()
    assert not compiled.post_compile_params
    if_positional = set(compiled.positiontup or required)
    assert if_positional == set(required)


def test_a_connection_can_be_made_around_a_pooled_one() -> None:
    engine = sa.create_engine("sqlite://")
    pooled: PoolProxiedConnection = engine.raw_connection()
    with sa.Connection(engine, pooled) as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
        assert connection.connection.driver_connection is pooled.driver_connection
    engine.dispose()
