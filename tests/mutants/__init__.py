"""Mistakes that somebody could make in the service, and the test of the contract that notices each.

`make mutants` plants them one by one and runs their tests.
"""

from tests.mutants import (
    access,
    answers,
    clusters,
    cookies,
    edge,
    event_loop,
    factors,
    failover,
    links,
    passkeys,
    scopes,
    sign_in,
    state,
)

KINDS = (
    access.KINDS
    | answers.KINDS
    | clusters.KINDS
    | cookies.KINDS
    | edge.KINDS
    | factors.KINDS
    | event_loop.KINDS
    | failover.KINDS
    | links.KINDS
    | passkeys.KINDS
    | scopes.KINDS
    | sign_in.KINDS
    | state.KINDS
)
