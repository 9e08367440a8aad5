"""What the address of a database looks like: each function gives it back in SQLAlchemy's form.

Several hosts may be written as libpq does, or as SQLAlchemy does:

    postgresql://user:password@one:5432,two:5433/name
    postgresql://user:password@/name?host=one:5432&host=two:5433

A value that cannot be is a ValueError; `Because` also says why.
"""

import re
from ipaddress import IPv6Address
from pathlib import Path
from urllib.parse import unquote, urlencode

from pydantic import ValidationInfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from service.engine.settings_types import Because, require

# Values of target_session_attrs, the default for several hosts first (libpq, 34.1.2).
_FOR_WRITES = ("read-write", "primary", "any")
_FOR_READS = ("prefer-standby", "standby", "read-only", "read-write", "primary", "any")
# The user and password, the hosts, and the rest, as SQLAlchemy divides them.
_PARTS = re.compile(r"([\w+]+://(?:[^:/]*(?::[^@]*)?@)?)([^/?]*)/?(.*)", re.DOTALL)
_HOST = re.compile(r"(?:\[([^][]+)\]|([^][:@,\s]+))(?::(\d+))?")


def database(text: str) -> str:
    return _database(text, _FOR_WRITES)


def replica(text: str, others: ValidationInfo) -> str:
    url = _database(text, _FOR_READS)
    require(not url.startswith("sqlite:"))
    if others.data.get("database_url", "").startswith("sqlite:"):
        raise Because("is set beside an SQLite file")
    return url


def _database(text: str, wanted: tuple[str, ...]) -> str:
    text = re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", text)
    # SQLAlchemy takes what is behind the first @ for the host, and errors name that.
    before, at, _ = text.partition("@")
    if text.count("@") > 1 or (at and re.search(r"%(?![0-9a-fA-F]{2})", before)):
        raise Because("has an @ or % in the user or password (write %40 and %25)")
    try:
        url = make_url(_with_one_authority(text))
    except (ArgumentError, ValueError):
        raise ValueError from None
    if url.drivername == "postgresql+psycopg":
        require(url.query.get("pgbouncer", "false") in ("true", "false"))
        require(url.port is None or 0 < url.port < 65536)
        require("@" not in (url.database or "") and text.isprintable())
        several = _several_hosts(url, wanted)
        return several.render_as_string(hide_password=False) if several else text
    require(url.drivername == "sqlite" and not url.host and text.isprintable())
    name = url.database or ":memory:"
    if ":memory:" in name or url.query.get("mode") == "memory":
        raise Because("is in memory, but each thread would see a different database")
    require(not name.startswith("file:"))
    return url.set(database=str(Path(name).absolute())).render_as_string(hide_password=False)


def _with_one_authority(text: str) -> str:
    """The address with hosts that are separated by commas moved to its query."""
    parts = _PARTS.fullmatch(text)
    if not parts or "," not in parts[2]:
        return text
    start, hosts, rest = parts.groups()
    require(all(hosts.split(",")))
    name, mark, query = rest.partition("?")
    moved = urlencode([("host", unquote(host)) for host in hosts.split(",")])
    return f"{start}/{name}?{moved}{'&' if mark else ''}{query}"


def _several_hosts(url: URL, wanted: tuple[str, ...]) -> URL | None:
    """The address in its final form if it names several hosts, else None."""
    hosts = _listed(url, "host")
    asked = url.query.get("target_session_attrs", wanted[0])
    if asked not in wanted:
        require(asked in _FOR_READS)
        raise Because("asks for a server that takes no writes (target_session_attrs)")
    if len(hosts) < 2:
        return None
    places = [_place(host) for host in hosts]
    ports = [port for _, port in places]
    if listed := _listed(url, "port"):
        require(not any(ports) and len(listed) in (1, len(hosts)))
        ports = listed * (len(hosts) // len(listed))
    require(all(re.fullmatch("[0-9]{0,5}", port) for port in ports))
    require(all(0 < int(port) < 65536 for port in ports if port))
    named = {"host": ",".join(host for host, _ in places), "target_session_attrs": str(asked)}
    if any(ports):
        named["port"] = ",".join(port or "5432" for port in ports)
    return url.set(host=None, port=None).update_query_dict(named)


def _listed(url: URL, name: str) -> list[str]:
    """The values of a parameter, which is given several times or once with commas."""
    given = url.query.get(name, "")
    return list(given) if isinstance(given, tuple) else given.split(",") if given else []


def _place(text: str) -> tuple[str, str]:
    """A host, without brackets, and its port, which is empty if none is given."""
    if text.count(":") > 1 and not text.startswith("["):
        return str(IPv6Address(text)), ""
    found = _HOST.fullmatch(text)
    if not found:
        raise ValueError
    address, name, port = found.groups("")
    return (str(IPv6Address(address)) if address else name), port
