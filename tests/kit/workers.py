"""Finds out which process of a server has answered."""

from __future__ import annotations

import httpx
import psutil


def answered_by(answer: httpx.Response) -> int:
    """The id of the process at the other end of the connection, which is still open."""
    stream = answer.extensions["network_stream"]
    # Compare ports only: a socket that also listens for IPv6 writes addresses differently.
    ends = [stream.get_extra_info(name)[1] for name in ("server_addr", "client_addr")]
    open_ = [c for c in psutil.net_connections("tcp") if c.raddr]
    [pid] = [c.pid for c in open_ if [c.laddr.port, c.raddr.port] == ends]
    assert pid is not None
    return pid
