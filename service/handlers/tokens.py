"""Personal tokens: making, listing and ending them."""

from uuid import UUID

from service.accounts.audit import record
from service.accounts.personal_tokens import end_leaked, issue
from service.caller import Caller
from service.engine.observe.metrics import count_on_commit
from service.engine.problems import NotFound
from service.engine.spec.paging import page
from service.models import PersonalToken


def list_personal_tokens(caller: Caller, limit: int, after: UUID | None = None):
    return page(PersonalToken.of(caller.id), limit, after)


def create_personal_token(caller: Caller, body: dict):
    return issue(caller, **body), 201


def revoke_leaked_token(body: dict):
    end_leaked(body["token"])


def revoke_personal_token(caller: Caller, token_id: UUID):
    if not PersonalToken.revoke(token_id, caller.id):
        raise NotFound
    record("personal-token-revoked", caller.id)
    count_on_commit("personal_tokens_total", "revoked")
