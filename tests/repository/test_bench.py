"""What the benchmark makes of its samples, and of what the load generators print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bench.figures import OPERATIONS, NotMeasured, middle, ratio
from bench.load import Load, of_pywrkr, of_wrk
from bench.report import report
from bench.targets import verdicts

ROOT = Path(__file__).parents[2]
WRK = """\
Running 3s test @ http://127.0.0.1:9811/api/posts
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.88ms  299.58us  12.86ms   71.00%
    Req/Sec     8.25k   110.96     8.42k    63.64%
  Latency Distribution
     50%  788.00us
     75%    0.99ms
     90%    1.22ms
     99%    1.05s
  24660 requests in 3.10s, 1.22MB read
  Socket errors: connect 0, read 3, write 0, timeout 4
  Non-2xx or 3xx responses: 12
Requests/sec:   7954.84
Transfer/sec:      1.11MB
"""
PYWRKR = """{
  "duration_sec": 2.0, "total_requests": 1010, "total_errors": 20, "requests_per_sec": 505.0,
  "status_codes": {"200": 990, "503": 10}, "error_types": {"HTTP 503": 10, "TimeoutError": 10},
  "percentiles": {"p50": 0.00083, "p99": 0.002826}
}"""


def test_the_output_of_wrk_is_parsed() -> None:
    load = of_wrk(WRK)
    assert load == Load(24660, pytest.approx(7954.8, abs=0.1), 0.788, 1050.0, refused=12, broken=7)


def test_a_load_without_an_error_has_none() -> None:
    lines = [line for line in WRK.splitlines() if "errors" not in line and "Non-2xx" not in line]
    load = of_wrk("\n".join(lines))
    assert (load.refused, load.broken) == (0, 0)


def test_the_output_of_pywrkr_is_parsed() -> None:
    load = of_pywrkr(PYWRKR)
    assert load == Load(1000, 500.0, 0.83, pytest.approx(2.826), refused=10, broken=10)


def test_a_ratio_is_the_median_of_those_of_each_round() -> None:
    samples = [
        {"round": round_, "contender": name, "per_second": number}
        for round_, numbers in enumerate([(100, 10), (900, 300), (500, 100)])
        for name, number in zip(("byline", "peer"), numbers, strict=True)
    ]
    assert middle(samples, "per_second", contender="byline") == 500
    assert ratio(samples, "per_second", {"contender": "byline"}, {"contender": "peer"}) == 5


def test_an_unmeasured_figure_is_refused() -> None:
    with pytest.raises(NotMeasured):
        middle([], "per_second", contender="byline")


def test_every_target_that_is_met_holds(sections: dict[str, list[dict[str, Any]]]) -> None:
    found = verdicts("embedded", sections)
    assert [verdict.figure for verdict in found if not verdict.holds] == []
    assert found[0].measured == "get 6.00x, list 6.00x, me 6.00x, post 6.00x"


@pytest.mark.parametrize(
    ("section", "where", "worse", "figure"),
    [
        ("operations", {"contender": "fastapi_orm", "operation": "me"}, {"per_second": 1300}, 0),
        ("operations", {"contender": "bare_asgi", "operation": "get"}, {"cpu": 60}, 3),
        ("logins", {"case": "beside logins"}, {"per_second": 890}, 4),
        ("concurrency", {"connections": 200}, {"per_second": 890}, 5),
        ("concurrency", {"connections": 200}, {"p99": 110}, 5),
        ("concurrency", {"connections": 200}, {"stalled": True}, 5),
        ("depth", {"case": "far down"}, {"p50": 1.3}, 6),
        ("workers", {"case": "two workers"}, {"per_second": 1700}, 7),
        ("export", {"case": "large"}, {"peak": 130}, 8),
        ("unread", {"case": "beside unread"}, {"broken": 1}, 9),
        ("start", {"contender": "byline"}, {"start": 1.6}, 10),
        ("operations", {"contender": "byline", "operation": "post"}, {"resident": 121}, 11),
    ],
)
def test_a_target_that_is_missed_does_not_hold(
    sections: dict[str, list[dict[str, Any]]],
    section: str,
    where: dict[str, Any],
    worse: dict[str, Any],
    figure: int,
) -> None:
    for sample in sections[section]:
        if where.items() <= sample.items():
            sample.update(worse)
    assert [n for n, verdict in enumerate(verdicts("embedded", sections)) if not verdict.holds] == [
        figure
    ]


def test_an_unmeasured_target_is_neither_met_nor_missed() -> None:
    assert {verdict.holds for verdict in verdicts("embedded", {})} == {None}


def test_the_report_has_figures_ratios_and_verdicts(
    sections: dict[str, list[dict[str, Any]]],
) -> None:
    text = report(results(sections))
    assert "| Byline | **6 000** | **6 000** | **6 000** | **6 000** |" in text
    assert "| Slow | 1 000 (6.0x) | 1 000 (6.0x) | 1 000 (6.0x) | 1 000 (6.0x) |" in text
    assert "| Slow | 600 (6.0x) | 600 (6.0x) | 600 (6.0x) | 600 (6.0x) |" in text
    assert "| start to the first answer | <= 1.5 s | 1.00 s | yes |" in text
    assert "| Byline | 1 000; 5.0 / 10.0 ms | 1 000; 5.0 / 10.0 ms |" in text
    assert "- **Slow**: Does less." in text


def test_a_stalled_contender_is_reported(
    sections: dict[str, list[dict[str, Any]]],
) -> None:
    sections["concurrency"][-1] |= {"stalled": True, "broken": 200}
    assert "| stalled in 1 of 1 rounds; 200 failed |" in report(results(sections))


def test_an_underloaded_server_is_named(
    sections: dict[str, list[dict[str, Any]]],
) -> None:
    for sample in sections["operations"]:
        sample["cpu"] = 1e6 / sample["per_second"]
    assert "Not limited by" not in report(results(sections))
    sections["operations"][0]["cpu"] *= 0.5
    assert "they used less: Byline at GET one post (50%)." in report(results(sections))


def test_the_report_leaves_out_what_was_not_measured() -> None:
    text = report(results({}))
    assert "not measured" in text
    assert "Requests per second, 16" not in text


@pytest.fixture
def sections() -> dict[str, list[dict[str, Any]]]:
    """One round in which every target is met."""
    loaded = {"per_second": 1000, "p50": 5.0, "p99": 10.0, "refused": 0, "broken": 0, "cpu": 100}
    rates = {"byline": 6000, "fastapi_orm": 1000, "fastapi_core": 2000, "flask_restful": 1000}
    rates["bare_asgi"] = 8000
    cpu = {"byline": 100, "fastapi_orm": 600, "bare_asgi": 75}
    cases = {
        "logins": [("alone", {"logins": 0}), ("beside logins", {"logins": 20})],
        "depth": [("first page", {"depth": 0, "p50": 1}), ("far down", {"depth": 1e6, "p50": 1})],
        "workers": [("one worker", {}), ("two workers", {"per_second": 1900})],
        "export": [("small", {"posts": 1000, "peak": 100}), ("large", {"posts": 1e5, "peak": 110})],
        "unread": [("alone", {}), ("beside unread", {})],
    }
    return {
        "operations": [
            {
                "round": 1,
                "operation": operation,
                "contender": name,
                **loaded,
                "per_second": rate,
                "cpu": cpu.get(name, 300),
                "resident": 90,
            }
            for operation in OPERATIONS
            for name, rate in rates.items()
        ],
        "concurrency": [
            {"round": 1, "contender": name, "connections": level, "stalled": False, **loaded}
            for name in ("byline", "fastapi_orm")
            for level in (16, 200)
        ],
        "start": [{"round": 1, "contender": name, "start": 1.0} for name in rates],
        **{
            section: [{"round": 1, "case": case, **loaded, **more} for case, more in pairs]
            for section, pairs in cases.items()
        },
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
            {"name": "fastapi_orm", "title": "Slow", "note": "Does less."},
        ],
        "sections": sections,
    }
    return {"embedded": measured}


def test_the_readme_quotes_the_last_results() -> None:
    quoted = (ROOT / "README.md").read_text().partition("## Speed\n")[2].partition("\n## ")[0]
    measured = (ROOT / "bench/results/table.md").read_text()
    tables = re.findall(r"(?:^\|.*\n)+", quoted, re.MULTILINE)
    assert len(tables) == 2  # one of each path
    assert [table for table in tables if table not in measured] == []
