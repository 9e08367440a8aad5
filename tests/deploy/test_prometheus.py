"""The alerts fire for what they are meant for, and all that is drawn and watched is measured."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.kit.prometheus import promtool, scrape
from tests.kit.serving import Server

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "alerts.yaml"
ALERTS = [rule["alert"] for rule in yaml.safe_load(RULES.read_text())["groups"][0]["rules"]]
DASHBOARD = DEPLOY / "grafana" / "byline.json"

HERE = 'job="byline", instance="a"'
UP = (f"up{{{HERE}}}", "1x30")
# Of what is scraped each minute: `0+60x30` is a counter that goes up by one a second.
Series = list[tuple[str, str]]


def counter(name: str, labels: str, each_minute: int) -> tuple[str, str]:
    return f"{name}{{{HERE}, {labels}}}", f"0+{each_minute}x30"


def gauge(name: str, value: float, labels: str = 'pool="requests"') -> tuple[str, str]:
    return f"{name}{{{HERE}, {labels}}}", f"{value}x30"


def answers(failing: int, others: int) -> Series:
    return [
        counter("byline_requests_total", 'operation="get_user", status="503"', failing),
        counter("byline_requests_total", 'operation="get_user", status="200"', others),
    ]


def times(operation: str, under_a_second: int, all_: int) -> Series:
    name, label = "byline_request_seconds", f'operation="{operation}"'
    return [
        counter(f"{name}_bucket", f'{label}, le="1.0"', under_a_second),
        counter(f"{name}_bucket", f'{label}, le="2.5"', all_),
        counter(f"{name}_bucket", f'{label}, le="+Inf"', all_),
        counter(f"{name}_count", label, all_),
    ]


def logins(failed: int, refused: int, succeeded: int) -> Series:
    each = {"failed": failed, "refused": refused, "succeeded": succeeded}
    return [counter("byline_logins_total", f'outcome="{o}"', n) for o, n in each.items()]


def used(name: str, number: float, of: str, most: float) -> Series:
    return [gauge(name, number), gauge(of, most)]


IN_USE, CONNECTIONS = "byline_database_connections_in_use", "byline_database_connections"
MAILS, REUSES = "byline_mails_total", "byline_token_reuses_total"
READS = "byline_replica_reads_total"

# For each alert, what it fires for and what it does not.
CASES: list[tuple[str, Series, list[Series]]] = [
    ("BylineGone", [(UP[0], "0x30")], [[UP]]),
    ("BylineTargetDown", [(UP[0], "0x30")], [[UP], [(UP[0], "1 0 0 0 1x26")]]),
    ("BylineErrors", answers(2, 98), [answers(0, 100), answers(5, 995), answers(0, 0)]),
    (
        "BylineSlow",
        times("get_user", 90, 100),
        [times("get_user", 100, 100), times("export_account", 0, 100), times("login", 0, 1)],
    ),
    (
        "BylineQueueFull",
        used("byline_pool_pending", 500, "byline_pool_capacity", 512),
        [used("byline_pool_pending", 300, "byline_pool_capacity", 512)],
    ),
    (
        "BylineRefuses",
        [counter("byline_pool_refusals_total", 'pool="hashing"', 60)],
        [[counter("byline_pool_refusals_total", 'pool="hashing"', 0)]],
    ),
    (
        "BylineConnectionsUsedUp",
        used(IN_USE, 19, CONNECTIONS, 19),
        [used(IN_USE, 12, CONNECTIONS, 19)],
    ),
    (
        "BylineLimiterFallback",
        [gauge("byline_limiter_fallback", 1)],
        [[gauge("byline_limiter_fallback", 0)]],
    ),
    (
        "BylineMailsWait",
        [gauge("byline_mails_oldest_seconds", 3600)],
        [[gauge("byline_mails_oldest_seconds", 600)], []],
    ),
    (
        "BylineDeletionsWait",
        [gauge("byline_deletions_oldest_seconds", 7200)],
        [[gauge("byline_deletions_oldest_seconds", 600)], []],
    ),
    (
        "BylineMailsDropped",
        [counter(MAILS, 'outcome="sent"', 1), counter(MAILS, 'outcome="dropped"', 1)],
        [
            [counter(MAILS, 'outcome="sent"', 60), counter(MAILS, 'outcome="dropped"', 1)],
            [counter(MAILS, 'outcome="sent"', 1), counter(MAILS, 'outcome="dropped"', 0)],
        ],
    ),
    ("BylineLoginFailures", logins(100, 50, 10), [logins(50, 5, 0), logins(100, 50, 100)]),
    (
        "BylineTokensReused",
        [counter(REUSES, 'x="y"', 1)],
        [[counter(REUSES, 'x="y"', 0)], [(f"{REUSES}{{{HERE}}}", "0x15 1x15")]],
    ),
    (
        "BylineReplicaBehind",
        [gauge("byline_replica_lag_seconds", 40)],
        [[gauge("byline_replica_lag_seconds", 5)], []],
    ),
    (
        "BylineReplicaFails",
        [counter(READS, 'outcome="failed"', 60)],
        [[counter(READS, 'outcome="replica"', 60), counter(READS, 'outcome="failed"', 0)]],
    ),
    (
        "BylineFilesUsedUp",
        used("process_open_fds", 900, "process_max_fds", 1024),
        [used("process_open_fds", 90, "process_max_fds", 1024)],
    ),
]


def fires(folder: Path, alert: str, series: Series) -> bool:
    """Whether an alert fires after a while of this; raises when promtool cannot tell."""
    shutil.copy(RULES, folder)
    query = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}}) > bool 0 or vector(0)'

    def case(value: int) -> str:
        test = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series],
            "promql_expr_test": [
                {
                    "expr": query,
                    "eval_time": "25m",
                    "exp_samples": [{"labels": "{}", "value": value}],
                }
            ],
        }
        path = folder / f"{value}.yaml"
        path.write_text(yaml.safe_dump({"rule_files": [RULES.name], "tests": [test]}))
        return path.name

    promises = []
    for value in (0, 1):
        name = case(value)
        try:
            promtool("test", "rules", name, folder=folder)
            promises.append(value)
        except AssertionError:
            pass
    [value] = promises
    return bool(value)


def test_every_alert_is_tried() -> None:
    assert [alert for alert, _, _ in CASES] == ALERTS


@pytest.mark.parametrize(("alert", "bad", "good"), CASES, ids=ALERTS)
def test_an_alert_fires_when_it_should_and_only_then(
    tmp_path: Path, alert: str, bad: Series, good: list[Series]
) -> None:
    assert fires(tmp_path, alert, bad)
    for series in good:
        assert not fires(tmp_path, alert, series)


def test_the_configuration_is_one_that_prometheus_takes(tmp_path: Path) -> None:
    for path in (DEPLOY / "prometheus").iterdir():
        shutil.copy(path, tmp_path)
    (tmp_path / "metrics-token").write_text("a-long-random-word")
    assert f"{len(ALERTS)} rules found" in promtool(
        "check", "config", "prometheus.yaml", folder=tmp_path
    )


def expressions(panel: dict[str, Any]) -> list[str]:
    return [target["expr"] for target in panel.get("targets", [])]


def test_every_metric_of_dashboard_and_alerts_exists(serve: Callable[..., Server]) -> None:
    server = serve()
    assert httpx.get(f"{server.url}/api/users").status_code == 200
    metrics = {name for name, *_ in scrape(server.url)} | {"byline_replica_lag_seconds", "up"}
    for path in (RULES, DASHBOARD):
        named = set(re.findall(r"\b(?:byline_[a-z_]+|process_[a-z_]+|up)\b", path.read_text()))
        named -= {"byline_request_seconds"}
        assert len(named) > 10
        assert named <= metrics, path.name


def test_the_dashboard_asks_what_prometheus_understands(tmp_path: Path) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    queries = [query for panel in panels for query in expressions(panel)]
    assert len(queries) > 20
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, query in enumerate(queries)
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", path.name, folder=tmp_path)


def test_the_panels_of_the_dashboard_lie_beside_each_other() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    taken = set[tuple[int, int]]()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & taken
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
