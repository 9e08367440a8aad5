"""The surroundings of a process: closed streams, few open files, signals, a pause, a crash."""

from __future__ import annotations

import resource
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from tests.kit import commands
from tests.kit.busy_clients import GET, answer, connect
from tests.kit.ports import free_port
from tests.kit.processes import Byline, Place
from tests.kit.smtp import until
from tests.server.conftest import Start, serves

Patched = Callable[[str], None]

CLOSED = {"stdin": (0,), "stdout": (1,), "stderr": (2,), "all": (0, 1, 2)}


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("closed", CLOSED.values(), ids=CLOSED)
def test_the_server_starts_with_closed_standard_streams(
    place: Place, closed: tuple[int, ...], workers: str
) -> None:
    settings = commands.environment(place.folder, **place.settings, WORKERS=workers)
    settings["LOG_LEVEL"] = "INFO"
    port = free_port()
    shell = 'exec "$@" ' + " ".join(f"{number}>&-" for number in closed)
    process = subprocess.Popen(
        ["/bin/sh", "-c", shell, "sh", *commands.COMMAND, "serve", "--port", str(port)],
        cwd=place.folder,
        env=settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    byline = Byline(process, port, place.folder / "none")
    byline.log.touch()
    try:
        byline.wait()
        assert byline.status("/api/users") == 200
        for one in byline.family:
            for number in closed:  # no database and no connection is where lines are written
                assert Path(f"/proc/{one.pid}/fd/{number}").readlink() == Path("/dev/null")
    finally:
        byline.end()


def test_a_thousand_idle_connections_do_not_use_up_the_usual_limit(
    start: Start, patched: Patched
) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    patched(f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, {most}))")
    byline = start()
    with ExitStack() as idle:
        for _ in range(150):
            idle.enter_context(connect(byline.port))
        assert byline.status("/health/ready") == 200
        assert byline.status("/api/users") == 200


def test_a_low_hard_limit_of_open_files_causes_a_warning(start: Start, patched: Patched) -> None:
    patched("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))")
    byline = start()
    assert "Only 100 files can be open at once" in byline.log.read_text()


def test_sighup_shuts_a_single_process_down_in_order(start: Start, patched: Patched) -> None:
    # The tests may run under nohup, which every process that they start would inherit.
    patched("import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)")
    byline = start(SHUTDOWN_DELAY="300")
    with connect(byline.port) as kept:
        kept.sendall(GET)
        assert answer(kept).status == 200
        byline.process.send_signal(signal.SIGHUP)
        until(lambda: byline.status("/health/ready") == 503)
        kept.sendall(GET)
        last = answer(kept)
        assert (last.status, last.headers["Connection"]) == (200, "close")
    byline.process.send_signal(signal.SIGHUP)  # which ends the delay
    assert byline.process.wait(60) == 0


def test_sighup_is_ignored_under_nohup(start: Start, patched: Patched) -> None:
    patched("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    byline = start()
    byline.process.send_signal(signal.SIGHUP)
    assert [byline.status("/health/ready") for _ in range(10)] == [200] * 10


def test_workers_survive_a_pause_of_the_whole_service(start: Start, patched: Patched) -> None:
    # As `docker pause` does, or a stopped job: nobody was frozen, everybody was.
    patched("from service.engine.serve import supervisor; supervisor.HEARTBEAT_TIMEOUT_SECONDS = 3")
    byline = start(WORKERS="2")
    byline.wait()
    supervisor, workers = psutil.Process(byline.process.pid), byline.workers
    for one in (supervisor, *workers):
        one.suspend()
    suspended = time.monotonic()
    until(lambda: time.monotonic() > suspended + 4)
    looks = supervisor.num_ctx_switches().voluntary
    supervisor.resume()
    until(lambda: supervisor.num_ctx_switches().voluntary > looks + 3)
    for one in workers:
        if one.is_running():
            one.resume()
    until(lambda: byline.status("/health/ready") == 200)
    assert byline.workers == workers
    assert "frozen" not in byline.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_process_that_crashes_logs_where_its_threads_were(
    start: Start, patched: Patched, workers: str
) -> None:
    patched("import resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0))")
    byline = start(WORKERS=workers)
    crashing = byline.workers[0]
    crashing.send_signal(signal.SIGSEGV)

    def is_replaced() -> bool:
        serving = [one for one in byline.workers if serves(one, byline.port)]
        return len(serving) == 2 and crashing not in serving

    if workers == "1":
        assert byline.process.wait(60) == -signal.SIGSEGV
    else:
        until(is_replaced)
    log = byline.log.read_text()
    assert "Fatal Python error: Segmentation fault\n" in log
    assert "Current thread 0x" in log


NO_TEMPORARY_FILES = "import tempfile; tempfile._candidate_tempdir_list = lambda: ['/nowhere']"


def test_several_workers_without_a_temporary_folder_require_metrics_dir(
    place: Place, patched: Patched
) -> None:
    patched(NO_TEMPORARY_FILES)
    ended = place.run("serve", "--port", "0", WORKERS="2")
    assert ended.returncode == 2
    assert ended.stderr.startswith("Error: METRICS_DIR must be set")
    assert ended.stderr.count("\n") == 1


def test_several_workers_with_metrics_dir_need_no_temporary_folder(
    start: Start, patched: Patched, place: Place
) -> None:
    patched(NO_TEMPORARY_FILES)
    byline = start(WORKERS="2", METRICS_DIR=str(place.folder / "metrics"))
    assert byline.status("/metrics") == 200


def test_a_command_reports_that_its_output_does_not_fit_on_the_disk(place: Place) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        ended = subprocess.run(
            [*commands.COMMAND, "openapi"],
            cwd=place.folder,
            env=commands.environment(place.folder),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.stderr.startswith("Error: No space left on device\n")
