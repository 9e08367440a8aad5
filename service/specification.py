"""What the service promises: `openapi/openapi.yaml`."""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import Any

from service import problems
from service.engine import problems as of_any_service
from service.engine.spec.client_names import SIGN_IN, SIGN_OUT
from service.engine.spec.documents import lines
from service.engine.spec.limit_notes import PER
from service.engine.spec.publication import NOTES, Edition
from service.engine.spec.specification import Specification
from service.places import OPENAPI

# With operations of these names, clients sign in, stay signed in, sign out and prove who it is.
ROLES = ("login", "complete_login", "refresh", "logout", "reauthenticate")
LOGIN, COMPLETE, REFRESH, LOGOUT, PROVE = ROLES


def _guesses(declared: list[dict[str, Any]], edition: Edition) -> str:
    limits = edition.limits(declared)
    return f"Wrong passwords and codes: {limits}." if limits else ""


class _Specification(Specification):
    """With the limits under `x-guard`, which the guard of the accounts counts."""

    problems = (of_any_service, problems)
    own_methods = MappingProxyType({LOGIN: SIGN_IN, LOGOUT: SIGN_OUT})
    notes = NOTES | {"x-guard": _guesses}
    per = PER | {"email": "e-mail address", "account": "account from unknown networks"}

    @cached_property
    def policies(self) -> dict[str, int]:
        """Every policy that `x-rate-limit` and `x-guard` declare, and how many limits it takes."""
        return super().policies | dict.fromkeys(self.guards, 1)

    @cached_property
    def guards(self) -> dict[str, dict[str, Any]]:
        """The entries of `x-guard` by policy; ValueError when two operations differ about one."""
        found: dict[str, dict[str, Any]] = {}
        for declared in self.declarations():
            for entry in declared.get("x-guard", []):
                if found.setdefault(entry["policy"], entry) != entry:
                    raise ValueError(f"x-guard {entry['policy']} is declared in two ways")
        return found

    @cached_property
    def export_lines(self) -> list[str]:
        """The types of the lines that the export of an account has, in their order."""
        return list(lines(self.document["paths"]["/auth/export"]["get"], self.document))


specification = _Specification(OPENAPI)
