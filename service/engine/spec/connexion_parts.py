"""What this folder uses of Connexion."""

from __future__ import annotations

from service.engine.importing import without

# Its client for tests and the one for references to other servers, with all that they import: 9 MB
# of each process. References stay within the document here.
with without({"starlette.testclient": ["TestClient"], "httpx": [], "requests": []}):
    from connexion.apps.abstract import AbstractApp
    from connexion.apps.flask import FlaskApi, FlaskApp, FlaskASGIApp, FlaskOperation
    from connexion.middleware.abstract import ROUTING_CONTEXT, SpecMiddleware
    from connexion.middleware.lifespan import LifespanMiddleware
    from connexion.operations import AbstractOperation
    from connexion.resolver import Resolution, Resolver
    from connexion.spec import Specification

__all__ = [
    "ROUTING_CONTEXT",
    "AbstractApp",
    "AbstractOperation",
    "FlaskASGIApp",
    "FlaskApi",
    "FlaskApp",
    "FlaskOperation",
    "LifespanMiddleware",
    "Resolution",
    "Resolver",
    "SpecMiddleware",
    "Specification",
]
