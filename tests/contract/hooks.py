"""What schemathesis cannot make up: tokens that are good, and ids, passwords and mailed tokens of
the one who calls. Loaded by its command line."""

from __future__ import annotations

import os
import secrets
import zlib
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import GenerationMode
from schemathesis.generation.meta import TestPhase

from service.specification import specification
from tests.contract.callers import PASSWORD, RESET, VERIFY, Caller, Callers

# Stands for a caller until the request is sent: many requests are made before the first goes out.
SOMEBODY = "Bearer somebody"
FOR_ADMINS = {
    operation["operationId"]
    for item in specification.document["paths"].values()
    for operation in item.values()
    if "x-required-role" in operation
}
SIGNS_OUT = {"logout", "revoke_session"}
# Afterwards the caller has another password or role, or is gone.
USES_UP = {"change_password", "delete_user", "update_user"}

# Nobody else finds a personal token, so later steps of a stateful test come from who made it.
creators: dict[str, Caller] = {}
callers = Callers(
    os.environ["CONTRACT_URL"],
    Path(os.environ["CONTRACT_MAILS"]),
    os.environ["CONTRACT_DATABASE"],
)


@schemathesis.auth(refresh_interval=None)
class Somebody:
    """Says that a request has a caller."""

    def get(self, case: Any, context: Any) -> str:
        return SOMEBODY

    def set(self, case: Any, data: str, context: Any) -> None:
        case.headers["Authorization"] = data


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Give the request its caller and, now and then, what is the caller's own."""
    # The same request always comes from the same role, and is always completed in the same way.
    lot = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
    name = _name(case)
    caller = None
    if case.headers.get("Authorization") == SOMEBODY and name == "get_metrics":
        case.headers["Authorization"] = f"Bearer {os.environ['CONTRACT_METRICS_TOKEN']}"
    elif case.headers.get("Authorization") == SOMEBODY:
        made_by = creators.get((case.path_parameters or {}).get("token_id", ""))
        caller = made_by or callers.get("admin" if lot & 1 else "user")
        token = caller.refresh if name == "refresh" else caller.access
        case.headers["Authorization"] = token
    is_valid = case.meta and case.meta.generation.mode is GenerationMode.POSITIVE
    is_stateful = case.meta and case.meta.phase.name is TestPhase.STATEFUL
    if is_valid and is_stateful and "Idempotency-Key" in case.headers:
        # A key that was used before would answer with a resource that may be deleted by now.
        case.headers["Idempotency-Key"] = secrets.token_hex(8)
    if is_valid and not lot & 6:  # a quarter: passwords and mails take their time
        _complete(name, case, caller, is_stateful=is_stateful)


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Have a caller who can call again."""
    caller = callers.sender(case.headers.get("Authorization", ""))
    if caller is None:
        return
    name, is_done = _name(case), response.status_code < 300
    if name == "create_personal_token" and is_done:
        creators[response.json()["id"]] = caller
    if response.status_code == 401 or (name in USES_UP and is_done):
        callers.drop(caller)
    elif name in SIGNS_OUT and is_done:
        callers.sign_in(caller)
    elif name == "refresh" and is_done:
        caller.tokens |= response.json()


@schemathesis.check
def admins_only(ctx: Any, response: Any, case: Any) -> None:
    """What is for admins is for nobody else."""
    if _name(case) in FOR_ADMINS and response.status_code < 300:
        assert callers.role(response.request.headers.get("Authorization", "")) == "admin", (
            "it was given to a user"
        )


def _name(case: Any) -> str | None:
    """The operation that is asked for; none when another method is tried on its address."""
    operation = case.operation
    is_its_own = case.method.upper() == operation.method.upper()
    return str(operation.definition.raw["operationId"]) if is_its_own else None


def _complete(name: str | None, case: Any, caller: Caller | None, *, is_stateful: bool) -> None:
    match name:
        case "register" | "create_user":
            case.body["email"] = f"{secrets.token_hex(8)}@example.com"
        case "login":
            case.body |= {"email": callers.get("user").email, "password": PASSWORD}
        case "complete_password_reset":
            case.body["token"] = callers.mailed_token(RESET)
        case "complete_email_verification" | "dispute_email_verification":
            case.body["token"] = callers.mailed_token(VERIFY)
        case "reauthenticate" | "change_password" | "change_email":
            case.body["password" if name == "reauthenticate" else "current_password"] = PASSWORD
    if "If-Match" in case.headers:
        case.headers["If-Match"] = "*"
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = secrets.token_hex(8)
    # With an account its posts go, which later steps of a stateful test still want to change.
    if caller and (name == "update_user" or (name == "delete_user" and not is_stateful)):
        case.path_parameters["user_id"] = caller.id
    if caller and name == "revoke_session":
        case.path_parameters["session_id"] = caller.session
