"""Puts load on a server: some connections, each with one request after the other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bench.processes import LOAD, on

_MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Request:
    """The request that is repeated."""

    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    @property
    def header_lines(self) -> list[str]:
        return [f"{name}: {value}" for name, value in self.headers.items()]


@dataclass(frozen=True)
class Load:
    """The results; percentiles of the time to an answer are in milliseconds."""

    requests: int
    per_second: float
    p50: float
    p99: float
    refused: int  # answers that are neither 2xx nor 3xx
    broken: int  # failed connections, and requests that took over two seconds


def load(
    url: str, request: Request, seconds: int, connections: int, cores: set[int] | None = LOAD
) -> Load:
    return started(url, request, seconds, connections, cores)()


def started(
    url: str, request: Request, seconds: int, connections: int, cores: set[int] | None = LOAD
) -> Callable[[], Load]:
    """Start a load; the returned function waits for its end."""
    generator = tool()
    folder = TemporaryDirectory()
    command = generator.command(Path(folder.name), request, seconds, connections)
    with Path(folder.name, "output").open("w") as output, on(cores):
        process = subprocess.Popen(
            [*command, url + request.path], stdout=output, stderr=subprocess.STDOUT
        )

    def wait() -> Load:
        with folder:
            code = process.wait()
            output = Path(folder.name, "output").read_text()
            if code:
                raise click.ClickException(f"{command[0]} does not work: {output[-1000:]}")
            return generator.parsed(Path(folder.name))

    return wait


class Wrk:
    """The first choice: on one core it is faster than any server here."""

    @staticmethod
    def version() -> str:
        # It exits with 1 after printing its version.
        told = subprocess.run(["wrk", "--version"], check=False, capture_output=True, text=True)
        return " ".join(told.stdout.split()[:2])

    @staticmethod
    def command(folder: Path, request: Request, seconds: int, connections: int) -> list[str]:
        script = folder / "request.lua"
        script.write_text(f'wrk.method = "{request.method}"\nwrk.body = [==[{request.body}]==]\n')
        how = ["-t1", f"-c{connections}", f"-d{seconds}s", f"-s{script}", "--latency"]
        return ["wrk", *how, *(f"-H{header}" for header in request.header_lines)]

    @staticmethod
    def parsed(folder: Path) -> Load:
        return of_wrk((folder / "output").read_text())


class Pywrkr:
    """Written in Python, from PyPI. It may be slower than the server, so only CPU time counts."""

    @staticmethod
    def version() -> str:
        return f"pywrkr {metadata.version('pywrkr')}"

    @staticmethod
    def command(folder: Path, request: Request, seconds: int, connections: int) -> list[str]:
        how = ["-t1", f"-c{connections}", f"-d{seconds}", f"--json={folder / 'load.json'}"]
        what = [f"-m{request.method}", *(f"-b{body}" for body in [request.body] if body)]
        headers = [f"-H{header}" for header in request.header_lines]
        return [sys.executable, "-m", "pywrkr", "--timeout=2", *how, *what, *headers]

    @staticmethod
    def parsed(folder: Path) -> Load:
        return of_pywrkr((folder / "load.json").read_text())


def tool() -> type[Wrk | Pywrkr]:
    return Wrk if shutil.which("wrk") else Pywrkr


def of_wrk(output: str) -> Load:
    """Parse the output of wrk."""
    requests, took = _found(r"(\d+) requests in ([\d.]+\w+),", output)
    errors = _found(r"connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return Load(
        requests=int(requests),
        per_second=int(requests) / _milliseconds(took) * 1000,
        p50=_milliseconds(*_found(r" 50% +(\S+)", output)),
        p99=_milliseconds(*_found(r" 99% +(\S+)", output)),
        refused=sum(map(int, _found(r"Non-2xx or 3xx responses: (\d+)", output))),
        broken=sum(map(int, errors)),
    )


def of_pywrkr(output: str) -> Load:
    """Parse the JSON that pywrkr has written."""
    told = json.loads(output)
    answers = {int(status): number for status, number in told["status_codes"].items()}
    requests = sum(answers.values())
    percentiles = told.get("percentiles", {})
    return Load(
        requests=requests,
        per_second=requests / told["duration_sec"],
        p50=percentiles.get("p50", 0.0) * 1000,
        p99=percentiles.get("p99", 0.0) * 1000,
        refused=sum(number for status, number in answers.items() if not 200 <= status < 400),
        broken=told["total_requests"] - requests,
    )


def _found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    return match.groups() if match else ()


def _milliseconds(time: str = "0us") -> float:
    number, unit = re.fullmatch(r"([\d.]+)([a-z]+)", time).groups()
    return float(number) * _MILLISECONDS[unit]
