"""Starts uvicorn when the database answers and has the schema, and prints where to look."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from tempfile import TemporaryDirectory
from typing import Any

import flask
import sqlalchemy as sa
import uvicorn
from uvicorn.config import STARTUP_FAILURE

from service.engine.database import revisions
from service.engine.database.transaction import db
from service.engine.http.log_output import output_of
from service.engine.http.telemetry import set_up_logging
from service.engine.serve.draining import Server
from service.engine.serve.listeners import bound
from service.engine.serve.protocol import Protocol
from service.engine.serve.standard_streams import report_crashes
from service.engine.serve.supervisor import Supervisor
from service.engine.settings import BadConfiguration, EngineSettings

logger = logging.getLogger(__name__)

WANTED_OPEN_FILES = 65_536  # mostly connections
WARN_BELOW_OPEN_FILES = 1024
DATABASE_TIMEOUT_SECONDS = 10  # a start waits this long for its database
UVICORN: dict[str, Any] = {
    "http": Protocol,
    "ws": "none",
    "lifespan": "on",
    "access_log": False,  # telemetry writes its own line, without the query string
    "server_header": False,
    "proxy_headers": False,  # the application does them itself
    "timeout_graceful_shutdown": 30,
    # Longer than clients and proxies keep a connection that nobody uses (httpx 5 s, nginx and
    # load balancers 60 s): if we close it as they send the next request, they see a reset.
    "timeout_keep_alive": 75,
}


@dataclass(frozen=True)
class Program:
    """What is served: the import path `application` of an ASGI application, and the Flask
    application with its database; `notes` are lines that a start prints, `warnings` lines that it
    logs."""

    application: str
    flask: Callable[[], flask.Flask]
    notes: Iterable[str] = ()
    warnings: Iterable[str] = ()


def run(settings: EngineSettings, program: Program) -> None:
    """Serve until told to stop; the workers read the environment anew.

    Raises BadConfiguration, `revisions.Behind`, SystemExit, or OperationalError when the database
    does not answer in time.
    """
    report_crashes()
    set_up_logging(settings.log_level, settings.log_format)
    for line in program.warnings:
        logger.warning(line)
    _open_many_files()
    with ExitStack() as stack:
        listeners = [stack.enter_context(s) for s in bound(settings.host, settings.port)]
        _serve(settings, program, listeners)


def _serve(settings: EngineSettings, program: Program, listeners: list[socket.socket]) -> None:
    with program.flask().app_context():
        _wait(db.engine)
        revisions.require(db.engine)
        db.engine.dispose()
    # A setting that the application refuses shows here once, and not in each worker.
    importlib.import_module(program.application.partition(":")[0])
    where = f"http://{_authority(settings.host, listeners[0].getsockname()[1])}"
    lines = [
        f"{settings.specification.title} {settings.specification.version}",
        f"  docs    {where}/docs",
        f"  spec    {where}/openapi.yaml",
        f"  health  {where}/health/ready",
        *program.notes,
    ]
    output_of(sys.stdout).write("".join(f"{line}\n" for line in lines).encode())
    config = uvicorn.Config(
        program.application,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        backlog=2048,
        **UVICORN,
    )
    if settings.workers > 1:
        _supervise(config, listeners, settings)
        return
    server = Server(config, delay=settings.shutdown_delay)
    _end_at_hangup(server)
    with suppress(KeyboardInterrupt):
        server.run(listeners)
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def _supervise(
    config: uvicorn.Config, listeners: list[socket.socket], settings: EngineSettings
) -> None:
    with ExitStack() as stack:
        if settings.metrics_dir is None:
            folder = stack.enter_context(_metrics_folder(settings.specification.name))
            os.environ.update({"METRICS_DIR": folder})  # for the workers
        Supervisor(config, listeners, settings.shutdown_delay).run()


def _metrics_folder(name: str) -> TemporaryDirectory[str]:
    """A temporary folder, removed at the end; raises BadConfiguration where none can be created."""
    try:
        return TemporaryDirectory(prefix=f"{name}-")
    except OSError:
        raise BadConfiguration(
            "METRICS_DIR must be set to a folder: several WORKERS count together in one, "
            "and no temporary folder can be created"
        ) from None


def _end_at_hangup(server: Server) -> None:
    """Have SIGHUP end a single process as SIGTERM does, unless nohup has it ignored.

    A terminal that closes or `systemctl reload` would end it in the midst of its answers.
    """
    hangup = getattr(signal, "SIGHUP", None)
    if hangup and signal.getsignal(hangup) is signal.SIG_DFL:
        signal.signal(hangup, server.handle_exit)


def _open_many_files() -> None:
    """Raise the limit of open files to WANTED_OPEN_FILES, or as far as it goes without privileges.
    The usual 1024, which is meant for programs with `select`, would be used up by a thousand idle
    connections."""
    if sys.platform == "win32":
        return
    import resource

    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_OPEN_FILES if most == resource.RLIM_INFINITY else min(WANTED_OPEN_FILES, most)
    if limit != resource.RLIM_INFINITY and limit < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
    if wanted < WARN_BELOW_OPEN_FILES:
        logger.warning(
            "Only %d files can be open at once, connections included: raise the limit (ulimit -n).",
            wanted,
        )


def _wait(engine: sa.Engine) -> None:
    deadline = time.monotonic() + DATABASE_TIMEOUT_SECONDS
    was_announced = False
    while True:
        try:
            revisions.state(engine)
            return
        except sa.exc.OperationalError:
            if time.monotonic() >= deadline:
                raise
        if not was_announced:
            waiting = f"Waiting up to {DATABASE_TIMEOUT_SECONDS} s for the database ...\n"
            output_of(sys.stderr).write(waiting.encode())
        was_announced = True
        time.sleep(0.5)  # a start waits, not a request


def _authority(host: str, port: int) -> str:
    """Where a browser on this machine finds a server that listens there."""
    with suppress(ValueError):  # it is a name
        address = ip_address(host)
        if address.is_unspecified:
            host = "127.0.0.1" if address.version == 4 else "::1"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
