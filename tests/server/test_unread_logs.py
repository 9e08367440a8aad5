"""A log whose reader stands still, has gone, or is a full disk: the service goes on answering."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.engine.http import log_output
from service.engine.http.log_output import LogOutput
from tests.kit.busy_clients import GET, connect
from tests.kit.commands import begin, environment
from tests.kit.ports import free_port
from tests.kit.processes import Place
from tests.kit.smtp import until

PATCHED = "from service.engine.http import log_output; log_output.MAX_QUEUED_BYTES = 20_000"
COMMAND = f"{PATCHED}; from service.cli import main; main(prog_name='byline')"
DROPPED = "byline_log_lines_dropped_total"


@contextmanager
def serving(place: Place, output: int, workers: str) -> Iterator[httpx.Client]:
    """A client of a `byline serve` that writes all it has to say to this descriptor."""
    port = free_port()
    settings = {**place.settings, "LOG_LEVEL": "INFO", "WORKERS": workers}
    command = [sys.executable, "-c", COMMAND, "serve", "--port", str(port)]
    with os.fdopen(output, "wb", closefd=False) as stream:
        own = environment(place.folder, **settings)
        process = begin(command, place.folder, own, stream, stream)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as http:

        def answers() -> bool:
            assert process.poll() is None
            try:
                return http.get("/health/ready").status_code == 200
            except httpx.TransportError:
                return False

        try:
            until(answers)
            yield http
        finally:
            process.terminate()
            ended = process.wait(60)
    assert ended in {0, -15}


def dropped(http: httpx.Client) -> float:
    lines = http.get("/metrics").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{DROPPED} "))


def ask_until_lines_are_dropped(http: httpx.Client) -> None:
    """Thousands of requests, each a line, sent a hundred at a time on one connection."""
    with connect(http.base_url.port) as connection:
        for _ in range(100):
            connection.sendall(GET * 100)
            received = b""
            while received.count(b"HTTP/1.1 200 ") < 100:
                more = connection.recv(1 << 16)
                assert more, received
                received += more
            if dropped(http):
                return
    raise AssertionError("nothing is dropped")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "place")


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_a_stuck_log_reader_stops_no_request(kind: str, workers: str, place: Place) -> None:
    if kind == "pipe":
        reader, writer = os.pipe()
    else:
        ours, theirs = socket.socketpair()
        reader, writer = ours.detach(), theirs.detach()
    read: list[bytes] = []
    with os.fdopen(reader, "rb") as log:
        with serving(place, writer, workers) as http:
            os.close(writer)
            ask_until_lines_are_dropped(http)
            assert http.get("/api/users").status_code == 200
            reading = threading.Thread(target=lambda: read.extend(log))
            reading.start()  # and the log goes on

            def is_written() -> bool:
                http.get("/health/live", headers={"X-Request-Id": "after-all-this"})
                return any(b"after-all-this" in line for line in read.copy())

            until(is_written)
        reading.join(60)
    requests = [json.loads(line) for line in read if line.startswith(b"{")]
    assert all("event" in line for line in requests)


def test_a_closed_log_reader_stops_no_request(place: Place) -> None:
    reader, writer = os.pipe()
    with serving(place, writer, "1") as http:
        os.close(writer)
        os.close(reader)
        ask_until_lines_are_dropped(http)


def test_a_full_disk_under_the_log_stops_no_request(place: Place) -> None:
    with Path("/dev/full").open("wb") as full, serving(place, full.fileno(), "1") as http:
        ask_until_lines_are_dropped(http)


def test_a_slow_log_reader_loses_no_line() -> None:
    reader, writer = os.pipe()
    lines = [b"%d %b\n" % (number, b"x" * 200) for number in range(4000)]
    with os.fdopen(writer, "wb", buffering=0) as stream:
        output = LogOutput(stream)
        for line in lines:
            output.write(line)
        read = b""
        while len(read) < len(b"".join(lines)):
            read += os.read(reader, 5000)
        assert read == b"".join(lines)
        output.write(b"last\n")
        assert os.read(reader, 5000) == b"last\n"
    os.close(reader)
    assert output.readings() == {("log_lines_dropped_total",): 0}


def test_only_whole_log_lines_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_output, "MAX_QUEUED_BYTES", 10_000)
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as stream:
        output = LogOutput(stream)
        for number in range(2000):
            output.write(b"%d %b.\n" % (number, b"x" * 93))
        [lost] = output.readings().values()
        read = b""
        while read.count(b"\n") < 2000 - lost:
            read += os.read(reader, 5000)
        output.write(b"last\n")
        read += os.read(reader, 5000)
    os.close(reader)
    *kept, last = read.splitlines()
    assert last == b"last"
    assert 0 < lost < 2000
    assert [line.split()[0] for line in kept] == [b"%d" % n for n in range(2000 - int(lost))]
    assert all(line.endswith(b"x.") for line in kept)
