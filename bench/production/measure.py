"""The measurements of the production path, in rounds."""

from __future__ import annotations

import http.client
import os
import resource
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from sqlalchemy import make_url

from bench import machine
from bench.against_peers import WARM_UP, answered, measured
from bench.by_itself import sign_ins
from bench.contenders import Contender, operations
from bench.figures import OPERATIONS, Sample
from bench.load import Request, load
from bench.plan import Plan
from bench.processes import Server
from bench.production.round_trips import Relay, relay
from bench.production.site import Site

CONNECTIONS = (64, 16)
# All operations with one worker at 64 connections, where the targets are; elsewhere a read and a
# write, so that three rounds take ten minutes.
ALL, SOME = tuple(OPERATIONS), ("get", "post")
MEASURED = {(1, 64): ALL, (1, 16): SOME, (2, 64): SOME, (2, 16): SOME}
COUNTED = 200  # requests, to count their round trips


def measure_production(plan: Plan) -> list[Sample]:
    site = plan.site
    databases = {one.name: site.copy(one) for one in plan.production}
    site.settle()
    samples: list[Sample] = []
    for workers in (1, 2):
        with ExitStack() as stack:
            servers = {
                one.name: stack.enter_context(
                    site.serving(one, databases[one.name], workers=workers)
                )
                for one in plan.production
                if workers == 1 or not one.is_pinned
            }
            samples += _under_load(plan, servers, workers)
            if workers == 1:
                samples.append(_after_everything(plan, servers[plan.production[0].name]))
    return samples


def measure_round_trips(plan: Plan) -> list[Sample]:
    """Round trips to the database and to Valkey of each operation, without load."""
    samples = []
    for one in plan.production:
        if one.is_pinned:
            continue
        with _behind_relays(plan.site, one) as (server, to_database, to_store):
            for operation, request in operations(plan.site.data, one).items():
                _ask(server, request)  # the first may connect and prepare
                before = to_database.round_trips, to_store.round_trips
                _ask(server, request)
                samples.append(
                    {
                        "contender": one.name,
                        "operation": operation,
                        "database": (to_database.round_trips - before[0]) / COUNTED,
                        "store": (to_store.round_trips - before[1]) / COUNTED,
                    }
                )
    return samples


def _under_load(plan: Plan, servers: dict[str, Server], workers: int) -> Iterator[Sample]:
    """One contender at a time is under load. Posts are written last: all list the same ones."""
    for operation in OPERATIONS:
        for one in plan.production:
            if one.name not in servers:
                continue
            request = operations(plan.site.data, one)[operation]
            is_warm = False
            for connections in CONNECTIONS:
                if operation not in MEASURED[workers, connections]:
                    continue
                with plan.site.pinned_for(one) as cores:
                    server = servers[one.name]
                    if not is_warm:
                        load(server.url, request, WARM_UP, connections, cores)
                        is_warm = True
                    sample = _measured(plan, server, request, connections, cores)
                where = {"workers": workers, "connections": connections, "operation": operation}
                yield {"contender": one.name, **where, **answered(sample, one, operation)}


def _measured(
    plan: Plan, server: Server, request: Request, connections: int, cores: set[int] | None
) -> Sample:
    """A sample with the CPU microseconds for each request of all that takes part.

    `others` are the cores that other processes kept busy meanwhile, and `stolen` those that the
    host gave to other machines.
    """
    before = _spent(plan.site)
    sample = measured(server, request, plan.seconds, connections, cores)
    wall, database, store, generator, all_of_it, stolen = (
        after - earlier for after, earlier in zip(_spent(plan.site), before, strict=True)
    )
    own = sample["cpu"] * sample["requests"] / 1e6
    each = 1e6 / max(sample["requests"], 1)
    return {
        **sample,
        "database": database * each,
        "store": store * each,
        "generator": generator * each,
        "others": max(all_of_it - own - database - store - generator, 0.0) / wall,
        "stolen": stolen / wall,
        "cores": os.cpu_count() or 1,
    }


def _spent(site: Site) -> tuple[float, ...]:
    """Seconds so far: by the clock, of PostgreSQL, Valkey, the load, the machine, its host."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        time.perf_counter(),
        *site.cpu(),
        ended.ru_utime + ended.ru_stime,
        *machine.used(),
    )


def _after_everything(plan: Plan, server: Server) -> Sample:
    """The memory of Byline's worker, also after searches, sign-ins and exports."""
    bearer = {"Authorization": f"Bearer {plan.site.data.token}"}
    searches, exports = Request("/api/search?q=tea"), Request("/auth/export", headers=bearer)
    found = server.resident()
    for request in (searches, sign_ins(), exports):
        load(server.url, request, WARM_UP, CONNECTIONS[1], None)
    return {"case": "memory", "resident": found, "everything": server.resident()}


@contextmanager
def _behind_relays(site: Site, one: Contender) -> Iterator[tuple[Server, Relay, Relay]]:
    url, store = make_url(site.copy(one)), urlsplit(site.store.url)
    with relay(url.port or 5432) as to_database, relay(store.port or 6379) as to_store:
        database = url.set(port=to_database.port).render_as_string()
        counting = f"redis://127.0.0.1:{to_store.port}"
        with site.serving(one, database, counting) as server:
            yield server, to_database, to_store


def _ask(server: Server, request: Request) -> None:
    """One request after the other, on one connection."""
    api = http.client.HTTPConnection("127.0.0.1", server.port)
    for _ in range(COUNTED):
        api.request(request.method, request.path, request.body or None, dict(request.headers))
        api.getresponse().read()
    api.close()
