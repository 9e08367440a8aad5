"""All log lines, not only those of requests, have the format of LOG_FORMAT."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.kit.serving import Server

SCRIPT = """
import logging, sys
from service.engine.http.telemetry import set_up_logging
set_up_logging("WARNING", sys.argv[1])
logging.getLogger("uvicorn.error").warning("hot")
logging.getLogger("uvicorn.error").info("cold")
try:
    {}["what"]
except KeyError:
    logging.getLogger("byline").exception("request %s failed", "abc")
"""


IN_A_REQUEST = """
import logging, sys
from service.engine.request import Request, current_request
from service.engine.http.telemetry import set_up_logging
set_up_logging("WARNING", sys.argv[1])
scope = {"method": "GET", "path": "/", "query_string": b"", "headers": [(b"x-request-id", b"one")]}
request = Request(scope)
request.operation = "get_post"
token = current_request.set(request)
logging.getLogger("byline").warning("slow")
current_request.reset(token)
logging.getLogger("byline").warning("alone")
"""
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


def logged(style: str, script: str = SCRIPT) -> list[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "ignore", "-c", script, style]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    return run.stderr.splitlines()


def test_a_crash_is_one_json_line_with_its_traceback() -> None:
    hot, crash = map(json.loads, logged("json"))
    assert (hot["level"], hot["message"]) == ("warning", "hot")
    assert (crash["level"], crash["message"]) == ("error", "request abc failed")
    assert crash["traceback"].endswith("KeyError: 'what'")


def test_text_is_for_people() -> None:
    lines = logged("text")
    assert lines[:2] == ["WARNING: hot", "ERROR: request abc failed"]
    assert lines[-1] == "KeyError: 'what'"


def test_a_log_line_of_a_request_has_its_request_id() -> None:
    slow, alone = map(json.loads, logged("json", IN_A_REQUEST))
    assert (slow["message"], slow["request_id"], slow["operation"]) == ("slow", "one", "get_post")
    assert alone["message"] == "alone"
    assert "request_id" not in alone


@pytest.mark.parametrize(
    ("given", "logged"),
    [
        (None, None),
        (f"00-{TRACE}-{SPAN}-01", TRACE),
        (f"00-{TRACE}-{SPAN}-00", TRACE),
        (f"42-{TRACE}-{SPAN}-01-and-more", TRACE),
        (f"00-{TRACE}-{SPAN}-01-and-more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        ("hush-7f3a", None),
    ],
)
def test_the_line_of_a_request_names_its_trace(
    serve: Callable[..., Server],
    capsysbinary: pytest.CaptureFixture[bytes],
    given: str | None,
    logged: str | None,
) -> None:
    server = serve(log_level="INFO")
    headers = {} if given is None else {"traceparent": given}
    httpx.get(f"{server.url}/nowhere", headers=headers)
    httpx.get(f"{server.url}/health/live")  # the line of a request is written before the next one
    line, *_ = map(json.loads, capsysbinary.readouterr().err.splitlines())
    assert (line["status"], line["trace_id"]) == (404, logged)
    assert "span_id" not in line
