"""Imports what a server imports as it starts, and has Connexion read the specification: for the
process from which `forked` forks."""

from __future__ import annotations

import importlib
import pkgutil

from connexion.spec import Specification

from service import handlers
from service.specification import specification
from tests.kit import shared_starts

# Loaded by name when a server starts.
for name in ("sqlalchemy.dialects.sqlite", "uvicorn.lifespan.on", "uvicorn.loops.uvloop"):
    importlib.import_module(name)
for module in pkgutil.iter_modules(handlers.__path__, f"{handlers.__name__}."):
    importlib.import_module(module.name)
shared_starts.share(setattr)
Specification.from_dict(specification.document)
