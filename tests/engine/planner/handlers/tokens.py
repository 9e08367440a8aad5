"""Operations of the tag tokens."""

from service.engine.caller import Caller
from service.engine.ids import new_id
from service.engine.tokens.authority import authority
from tests.engine.planner.models import Project


def create_token(body: dict):
    user_id = str(new_id())
    token = authority().tokens.access(user_id, user_id, generation=0, ttl=3600)
    return {"access_token": token, "id": user_id}, 201


def get_me(caller: Caller):
    return {"id": caller.id}


def delete_me(caller: Caller):
    Project.delete_all(caller)
