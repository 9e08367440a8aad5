"""The measurements of Byline and its peers, in rounds, one contender after the other."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict

import click

from bench.contenders import Contender, operations
from bench.embedded import running
from bench.figures import Sample
from bench.load import Request, load
from bench.plan import Plan
from bench.processes import LOAD, Server

WARM_UP = 1  # seconds
CONNECTIONS = 16
CONCURRENCY = (1, 16, 64, 200)
STALLED = 0.1  # of the rate at one connection: below this, a contender counts as stalled


def measured(
    server: Server,
    request: Request,
    seconds: int,
    connections: int = CONNECTIONS,
    cores: set[int] | None = LOAD,
) -> Sample:
    """A `Load`, with the server's `cpu` in microseconds for each request.

    Repeated once if there was no answer at all, which can happen on a busy machine.
    """
    for _ in range(2):
        before = server.cpu()
        result = load(server.url, request, seconds, connections, cores)
        used = server.cpu() - before
        if result.requests:
            break
    return {**asdict(result), "cpu": used / max(result.requests, 1) * 1e6}


def answered(sample: Sample, contender: Contender, what: str) -> Sample:
    """The sample; raises ClickException unless there were answers, and all successful."""
    if not sample["requests"]:
        raise click.ClickException(f"{contender.title}, {what}: nothing was answered")
    if sample["refused"]:
        numbers = f"{sample['refused']} of {sample['requests']}"
        raise click.ClickException(f"{contender.title}, {what}: {numbers} answers were refusals")
    return sample


def measure_operations(plan: Plan) -> list[Sample]:
    """All contenders run on fresh copies of the database; one at a time is under load."""
    samples = []
    with ExitStack() as stack:
        servers = {
            one.name: stack.enter_context(running(plan.data, one, plan.folder))
            for one in plan.contenders
        }
        # Posts are written last, so that the list is the same for all.
        for operation in ("get", "list", "me", "post"):
            for one in plan.contenders:
                server, request = servers[one.name], operations(plan.data, one)[operation]
                load(server.url, request, WARM_UP, CONNECTIONS)
                sample = answered(measured(server, request, plan.seconds), one, operation)
                where = {"operation": operation, "contender": one.name}
                samples.append({**where, **sample, "resident": server.resident()})
    return samples


def measure_concurrency(plan: Plan) -> list[Sample]:
    samples = []
    for one in plan.contenders:
        request = operations(plan.data, one)["get"]
        with running(plan.data, one, plan.folder) as server:
            load(server.url, request, WARM_UP, CONNECTIONS)
            rates = []
            for connections in CONCURRENCY:
                sample = measured(server, request, plan.seconds, connections)
                rates.append(sample["per_second"])
                stalled = rates[-1] < STALLED * rates[0]
                where = {"contender": one.name, "connections": connections}
                samples.append({**where, **sample, "stalled": stalled})
    return samples


def measure_start(plan: Plan) -> list[Sample]:
    samples = []
    for one in plan.contenders:
        with running(plan.data, one, plan.folder) as server:
            samples.append({"contender": one.name, "start": server.seconds_to_answer})
    return samples
