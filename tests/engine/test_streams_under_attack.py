"""Streams during which the client sends more, and streams that are not read to the end."""

from __future__ import annotations

import json
import socket
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.kit.attack import Attack, on
from tests.kit.planning import Owner, Planner, give_projects
from tests.kit.raw import get

EXPORT = "/export"

pytestmark = on("sqlite")


@pytest.fixture(scope="module")
def writer(server: Planner) -> Owner:
    """Somebody with two megabytes of projects."""
    writer = server.sign_up()
    give_projects(writer, ["x" * 100_000] * 20)
    return writer


def lines(body: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in body.decode().splitlines()]


@pytest.mark.parametrize(
    "beside", [b"", b"GARBAGE\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 70_000]
)
def test_a_stream_is_complete_whatever_the_client_sends_meanwhile(
    attack: Attack, writer: Owner, beside: bytes
) -> None:
    data = get(EXPORT, "Authorization: Bearer {token}", *([] if beside else ["Connection: close"]))
    token = writer.tokens["access_token"]
    for answers in (
        attack.pipelined(data + beside, token),
        attack.pipelined(data, token, then=beside),
    ):
        first, *rest = answers
        assert [answer.status for answer in rest] in ([], [400], [431])
        projects = [line for line in lines(first.body) if line["type"] == "project"]
        assert [project["notes"] for project in projects] == ["x" * 100_000] * 20


def test_unread_streams_delay_no_other_request(attack: Attack, writer: Owner) -> None:
    address = urlsplit(attack.server.url)
    data = get(EXPORT, f"Authorization: Bearer {writer.tokens['access_token']}")
    with ExitStack() as stack:
        for number in range(24):
            half = stack.enter_context(socket.create_connection((address.hostname, address.port)))
            half.sendall(data)
            if number % 2:
                assert half.recv(1) == b"H"
                half.close()
        attack("GET", "/me", 200, token=writer)
        attack(
            "POST",
            "/projects",
            201,
            token=writer.server.sign_up(),
            json={"name": "x"},
        )
    assert attack("GET", "/me", 200, token=writer).json()["id"] == writer.id
