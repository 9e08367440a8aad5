"""What the benchmark makes of the samples of the production path, and how it counts round trips."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from bench.byline import ROOT
from bench.figures import OPERATIONS
from bench.peers.check import with_microseconds
from bench.processes import cpu
from bench.production.round_trips import relay
from bench.profile import Profile
from bench.profile import report as report_profiles
from bench.report import report
from bench.targets import verdicts

# Byline's CPU is 100 microseconds, and this is that of the others.
CPU = {
    "byline": 100,
    "byline_memory": 90,
    "byline_pinned": 95,
    "fastapi_sqlalchemy": 600,
    "fastapi_asyncpg": 230,
    "litestar_asyncpg": 180,
    "express": 140,
    "fastify": 100,
}


def test_every_target_that_is_met_holds(sections: dict[str, list[dict[str, Any]]]) -> None:
    found = verdicts("production", sections)
    assert [verdict.figure for verdict in found if not verdict.holds] == []
    assert found[0].measured == "6.00 / 6.00 / 6.00 / 6.00"


@pytest.mark.parametrize(
    ("where", "worse", "figure"),
    [
        ({"contender": "fastapi_sqlalchemy", "operation": "list"}, {"cpu": 590}, 0),
        ({"contender": "fastapi_asyncpg", "operation": "me"}, {"cpu": 220}, 1),
        ({"contender": "litestar_asyncpg", "operation": "post"}, {"cpu": 100}, 2),
        ({"contender": "express", "operation": "get"}, {"cpu": 60}, 3),
        ({"contender": "fastify", "operation": "post"}, {"cpu": 70}, 4),
        ({"contender": "byline_pinned", "operation": "me"}, {"cpu": 80}, 5),
        ({"contender": "byline_memory", "operation": "me"}, {"cpu": 80}, 6),
        ({"contender": "byline", "workers": 2, "operation": "get"}, {"per_second": 1600}, 7),
        ({"contender": "byline", "workers": 2, "operation": "get"}, {"p99": 26}, 8),
        ({"contender": "byline", "operation": "me", "store": 1.0}, {"database": 2.0}, 9),
        ({"contender": "byline", "operation": "post", "store": 1.0}, {"database": 3.0}, 9),
        ({"case": "memory"}, {"everything": 121}, 10),
    ],
)
def test_a_target_that_is_missed_does_not_hold(
    sections: dict[str, list[dict[str, Any]]],
    where: dict[str, Any],
    worse: dict[str, Any],
    figure: int,
) -> None:
    for sample in (sample for samples in sections.values() for sample in samples):
        if where.items() <= sample.items():
            sample.update(worse)
    found = verdicts("production", sections)
    assert [n for n, verdict in enumerate(found) if not verdict.holds] == [figure]


def test_a_target_against_a_peer_that_was_left_out_is_not_measured(
    sections: dict[str, list[dict[str, Any]]],
) -> None:
    sections["production"] = [
        one for one in sections["production"] if one.get("contender") != "express"
    ]
    found = verdicts("production", sections)
    assert [verdict.measured for verdict in found if verdict.holds is None] == ["not measured"]


def test_the_report_shows_what_all_that_takes_part_costs(
    sections: dict[str, list[dict[str, Any]]],
) -> None:
    text = report(results(sections))
    assert "| Byline | **100** | **100** | **100** | **100** |" in text
    assert "| Slow | 600 (6.0x) | 600 (6.0x) | 600 (6.0x) | 600 (6.0x) |" in text
    assert "| Slow | 40 / 20 | 40 / 20 | 40 / 20 | 40 / 20 |" in text
    assert "| Slow | 1.0 / 1.0 | 1.0 / 1.0 | 1.0 / 1.0 | 2.0 / 1.0 |" in text
    assert "| Byline | 1 000; 5.0 / 10.0 ms; 100 us | 1 000; 5.0" in text
    assert "| Byline | 0.25 (0.25) | 0.00 (0.00) |" in text
    assert "The machine had other work, which kept 0.2 of its 2 cores busy" in text
    assert "110 MB after searches" in text
    assert "- **Slow**: Does less." in text


def test_two_workers_are_told_how_much_room_the_cores_leave_them(
    sections: dict[str, list[dict[str, Any]]],
) -> None:
    [found] = [
        one for one in verdicts("production", sections) if "two workers against" in one.figure
    ]
    # 1000 requests a second of 100 + 40 + 20 + 40 microseconds keep a fifth of a core busy.
    assert found.measured.startswith("1.80; 10.00 at most")


def test_a_relay_counts_how_often_a_client_waits_for_an_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, relay(server.getsockname()[1]) as own:
        with socket.create_connection(("127.0.0.1", own.port)) as client:
            other, _ = server.accept()
            with other:
                for asked, answers in ((b"one", b"1"), (b"two, in one go", b"2")):
                    client.sendall(asked)
                    assert other.recv(len(asked), socket.MSG_WAITALL) == asked
                    other.sendall(answers)
                    assert client.recv(1) == answers
        assert own.round_trips == 2


def test_what_the_children_of_a_server_have_used_stays_counted_when_they_have_ended() -> None:
    before = cpu(os.getpid())
    busy = "import time\nwhile time.process_time() < 0.1: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert cpu(os.getpid()) - before >= 0.08  # in ticks of a hundredth of a second


def test_a_profile_names_the_rooms_and_the_functions_that_take_most() -> None:
    read = str(ROOT / "service/engine/database/libpq.py")
    profile = Profile(
        {
            (read, "run"): 30.0,
            (read, "_send"): 20.4,
            (str(ROOT / "service/models/posts.py"), "get"): 2.0,
            ("/a/lib/python3.12/site-packages/flask/app.py", "push"): 4.0,
            ("/a/lib/python3.12/uuid.py", "UUID"): 0.3,
        },
        kernel=12.0,
    )
    at = {"date": "2026-11-30", "processor": "x86-64", "cores": 2, "python": "CPython 3.12"}
    text = report_profiles([profile] * 4, at)
    rooms, functions = text.split("## ")
    lines = [line for line in rooms.splitlines() if line.startswith("| ")]
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        ["| **all**", "57"],
        ["| of which in the kernel", "12"],
        ["| `service/engine/database`", "50"],
        ["| flask", "4"],
        ["| the example", "2"],
        ["| Python's library", ""],
    ]
    assert "| `service/engine/database/libpq.py` run | 30 | 30 | 30 | 30 |" in functions
    assert "| `flask/app.py` push | 4 | 4 | 4 | 4 |" in functions


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("2026-11-22T16:23:12.120000Z", "2026-11-22T16:23:12.12Z"),
        ("2026-11-22T16:23:12.000Z", "2026-11-22T16:23:12Z"),
    ],
)
def test_a_peer_may_write_a_moment_with_other_digits(given: str, same: str) -> None:
    assert with_microseconds([{"at": given}]) == with_microseconds([{"at": same}])
    assert with_microseconds(given) != with_microseconds("2026-11-22T16:23:13Z")


@pytest.fixture
def sections() -> dict[str, list[dict[str, Any]]]:
    """One round in which every target is met."""
    beside = {"database": 40, "store": 20, "generator": 40, "others": 0.25, "stolen": 0.0}
    times = {"p50": 5.0, "p99": 10.0, "per_second": 1000, "cores": 2}
    loaded = [
        {
            "round": 1,
            "contender": name,
            "workers": workers,
            "connections": connections,
            "operation": operation,
            **beside,
            **times,
            "cpu": cpu,
            **({"per_second": 1800} if workers == 2 else {}),
        }
        for name, cpu in CPU.items()
        for workers in (1, 2)
        for connections in (16, 64)
        for operation in OPERATIONS
    ]
    memory = {"round": 1, "case": "memory", "resident": 100, "everything": 110}
    return {
        "production": [*loaded, memory],
        "round trips": [
            {
                "round": 1,
                "contender": name,
                "operation": operation,
                "database": 2.0 if operation == "post" else 1.0,
                "store": 1.0,
            }
            for name in CPU
            for operation in OPERATIONS
        ],
    }


def results(sections: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    words = dict.fromkeys(("date", "processor", "system", "python", "load"), "some")
    measured = {
        "machine": {**words, "cores": 2, "busy": 0.1, "pinned": True, "packages": {"flask": "3.1"}},
        "rounds": 1,
        "seconds": 1,
        "users": 10,
        "posts": 100,
        "contenders": [
            {"name": "byline", "title": "Byline", "note": "Everything on."},
            {"name": "fastapi_sqlalchemy", "title": "Slow", "note": "Does less."},
        ],
        "sections": sections,
    }
    return {"production": measured}
