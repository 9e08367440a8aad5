"""The sockets that the server listens on, the same for one process and for several.

uvicorn alone takes no IPv4 on `::` when it is one process, and does when it is several.
"""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address
from typing import Any

from service.engine.settings import BadConfiguration

_NO_SUCH_ADDRESS = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}


def bound(host: str, port: int) -> list[socket.socket]:
    """Sockets on every address of the host, all on one port; nobody can connect to them yet.

    `::` takes IPv4 as well; 0 is any free port. Raises BadConfiguration.
    """
    sockets: list[socket.socket] = []
    try:
        for family, address in _addresses(host, port):
            # Where any port will do, the first socket's is the others' as well.
            same = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_bound(family, (address[0], same, *address[2:])))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise BadConfiguration(_why(error)) from None
    except BaseException:
        for listener in sockets:
            listener.close()
        raise
    if not sockets:
        raise BadConfiguration("HOST is no address of this machine")
    return sockets


def _addresses(host: str, port: int) -> list[tuple[socket.AddressFamily, tuple[Any, ...]]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise BadConfiguration("HOST is a name that has no address") from None
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bound(family: socket.AddressFamily, address: tuple[Any, ...]) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            is_dual = ip_address(address[0].partition("%")[0]).is_unspecified
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not is_dual)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "PORT is in use: stop what listens there, or choose another"
    if error.errno == errno.EACCES:
        return "PORT is one that this user may not open: ports below 1024 are for root"
    return f"HOST and PORT cannot be listened on: {os.strerror(error.errno or 0)}"
