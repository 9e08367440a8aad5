"""A real PgBouncer in front of a database."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.kit.ports import free_port, listens
from tests.kit.postgres_cluster import Cluster
from tests.kit.processes import PATIENCE
from tests.kit.programs import program

_PGBOUNCER = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = 200
server_login_retry = 1
server_connect_timeout = 3
query_wait_timeout = 4
ignore_startup_parameters = extra_float_digits
logfile = {folder}/pgbouncer.log
pidfile = {folder}/pgbouncer.pid
"""


@contextmanager
def pgbouncer(server: Cluster, *, sessions: int = 20) -> Iterator[str]:
    """The address, without a database, of a PgBouncer in transaction mode."""
    bouncer = program("pgbouncer")
    port = free_port()
    with TemporaryDirectory(prefix="byline-") as name:
        folder = Path(name)
        config = folder / "pgbouncer.ini"
        places = {"folder": folder, "server": server.port, "port": port}
        config.write_text(_PGBOUNCER.format(**places, sessions=sessions))
        command = [bouncer, str(config)]
        if os.getuid() == 0:  # PgBouncer refuses to run as root
            for path in (folder, config):
                shutil.chown(path, server.user)
            command = [bouncer, "-u", str(server.user), str(config)]
        with _running(command, port, folder):
            yield f"postgresql://postgres@127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    log = folder / f"{Path(command[0]).name}.out"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)
