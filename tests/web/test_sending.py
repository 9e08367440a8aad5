"""How the server writes an answer to a connection."""

from __future__ import annotations

import pytest

from service.engine.serve.sending import MAX_JOINED_BYTES, MAX_WRITE_BYTES, Joining

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Transport:
    """Keeps what is written to it."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)


@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        MAX_JOINED_BYTES,
        MAX_JOINED_BYTES + 1,
        MAX_WRITE_BYTES,
        MAX_WRITE_BYTES + 1,
        10 * MAX_WRITE_BYTES + 7,
    ],
)
def test_a_body_is_written_in_pieces_that_are_freed_one_by_one(size: int) -> None:
    transport, body = Transport(), bytes(n % 251 for n in range(size))
    joining = Joining(transport, lambda: None)
    joining.write(HEAD)
    joining.write(body)
    joining.flush()
    assert b"".join(transport.written) == HEAD + body
    assert max(map(len, transport.written)) <= max(MAX_WRITE_BYTES, len(HEAD) + MAX_JOINED_BYTES)
