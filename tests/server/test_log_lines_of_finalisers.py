"""Lines that are logged while a line is being written, as finalisers do: a collection of garbage
runs them at any moment, in any thread."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from service.engine.http.log_output import LogHandler, LogOutput

LONG = b"%b.\n" % (b"x" * 200)
PATIENCE = 60  # seconds


@dataclass
class Pipe:
    """An output, and what a test reads of it."""

    output: LogOutput
    reader: int

    def fill(self) -> int:
        """Write until a line waits in memory; the number of lines."""
        number = 0
        while not self.output._queue:
            self.output.write(LONG)
            number += 1
        return number

    def read(self, number: int) -> list[bytes]:
        """So many lines, and no byte more."""
        data = b""
        while data.count(b"\n") < number:
            data += os.read(self.reader, 1 << 16)
        assert data.endswith(b"\n")
        return data.splitlines(keepends=True)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb", buffering=0) as stream:
        yield Pipe(LogOutput(stream), reader)
    os.close(reader)


def in_time(call: Callable[[], object]) -> None:
    """Make a call that might never end."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("written", [None, 0, 3, 6], ids=["blocked", "none", "half", "whole"])
def test_a_line_that_is_logged_while_another_is_written_follows_it(
    written: int | None, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pipe.output._write
    assert write

    def interrupted(data: bytes) -> int:
        monkeypatch.setattr(pipe.output, "_write", write)
        pipe.output.write(b"inner\n")
        if written is None:
            raise BlockingIOError
        return write(data[:written]) if written else 0

    monkeypatch.setattr(pipe.output, "_write", interrupted)
    in_time(lambda: pipe.output.write(b"outer\n"))
    assert pipe.read(2) == [b"outer\n", b"inner\n"]
    pipe.output.write(b"last\n")
    assert pipe.read(1) == [b"last\n"]


def test_a_line_may_be_logged_through_a_handler_while_another_thread_logs(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = LogHandler(pipe.output)
    write = pipe.output._write
    assert write
    has_begun = threading.Event()

    class Formatter(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            has_begun.set()
            return super().format(record)

    handler.setFormatter(Formatter())

    def log(message: str) -> None:
        handler.handle(logging.makeLogRecord({"msg": message}))

    other = threading.Thread(target=log, args=("other",), daemon=True)

    def interrupted(data: bytes) -> int:
        monkeypatch.setattr(pipe.output, "_write", write)
        other.start()
        assert has_begun.wait(PATIENCE)
        log("inner")
        return write(data)

    monkeypatch.setattr(pipe.output, "_write", interrupted)
    in_time(lambda: pipe.output.write(b"outer\n"))
    assert pipe.read(3) == [b"outer\n", b"inner\n", b"other\n"]
    other.join(PATIENCE)


def test_a_thread_may_log_while_it_starts_to_write_lines(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = threading.Thread.start
    has_logged: list[bool] = []

    def logging_start(thread: threading.Thread) -> None:
        """The new thread collects garbage before it says that it has started."""
        if thread.name == "log":
            other = threading.Thread(target=pipe.output.write, args=(b"new\n",), daemon=True)
            start(other)
            other.join(PATIENCE)
            has_logged.append(not other.is_alive())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", logging_start)
    number = pipe.fill()
    assert has_logged == [True]
    assert pipe.read(number + 1) == [*[LONG] * number, b"new\n"]


def test_lines_wait_until_a_thread_can_be_started(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        number = pipe.fill()
        pipe.output.write(b"waiting\n")
    pipe.output.write(b"last\n")
    assert pipe.read(number + 2) == [*[LONG] * number, b"waiting\n", b"last\n"]
    assert pipe.output.readings() == {("log_lines_dropped_total",): 0}
