"""What people do with passkeys, and each way in which that is refused."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.kit.authenticator import Authenticator
from tests.privacy.tour import Tour, Visitor

ANY = {"If-Match": "*"}
STALE = {"If-Match": '"stale"'}


def keeping_passkeys(tour: Tour, anna: Visitor, ben: Visitor) -> None:
    """Passkeys of several people, and what only their owners may do."""
    device = Authenticator(tour.page, step=1)
    passkey = added(tour, anna, device)
    [taken] = device.passkeys
    _add(tour, ben, Authenticator(tour.page).create(_begun(tour, ben), taken.id))
    _add(tour, ben, device.create(_begun(tour, anna)))  # the challenge is another's
    id_, nobodys = {"passkey_id": passkey["id"]}, {"passkey_id": str(uuid4())}
    tour("list_passkeys", anna)
    tag = {"If-None-Match": tour("get_passkey", anna, **id_).headers["ETag"]}
    tour("get_passkey", anna, **id_, headers=tag)
    name = {"json": {"name": tour.marks.words("passkey", "anna")}}
    for operation, body in (("update_passkey", name), ("delete_passkey", {})):
        for by, of, headers in (
            (ben, id_, ANY),
            (anna, nobodys, ANY),
            (anna, id_, STALE),
            (anna, id_, {}),
            (anna, id_, ANY),
        ):
            tour(operation, by, **of, headers=headers, **body)
    added(tour, anna, device)
    for _ in range(20):
        _add(tour, ben, Authenticator(tour.page).create(_begun(tour, ben)))
    tour("export_account", anna)
    for passkey in tour("list_passkeys", anna).json():  # her password is to be enough again
        tour("delete_passkey", anna, passkey_id=passkey["id"])


def using_passkeys(tour: Tour, anna: Visitor) -> None:
    """Signing in, right and wrong."""
    device = Authenticator(tour.page, step=1)
    added(tour, anna, device)
    for device.is_verified, device.step in ((True, 1), (False, 1), (True, -1), (True, 9)):
        begun = tour("start_passkey_login", anna).json()
        sent = {"challenge": begun["challenge"], "passkey": device.get(begun["passkey_options"])}
        for _ in range(2):
            tour("login_with_passkey", anna, json=sent)


def completing(tour: Tour, owner: Visitor) -> None:
    """A password, and the passkey that is asked for then."""
    device = Authenticator(tour.page)
    added(tour, owner, device)
    asked = tour("login", owner, json=owner.credentials).json()
    proof = {"passkey": device.get(asked["passkey_options"])}
    for _ in range(2):
        tour("complete_login", owner, json={"challenge": asked["challenge"], **proof})
    begun = tour("start_passkey_login", owner).json()
    proof = {"passkey": device.get(begun["passkey_options"])}
    for _ in range(2):
        tour("reauthenticate", owner, json=proof)


def without_a_password(tour: Tour, owner: Visitor) -> None:
    """The last way in to an account that has no password any more."""
    [passkey] = tour("list_passkeys", owner).json()
    tour("delete_passkey", owner, passkey_id=passkey["id"])


def disabled(tour: Tour, owner: Visitor, ada: Visitor) -> None:
    """A passkey of an account that an administrator disables."""
    device = Authenticator(tour.page)
    added(tour, owner, device)
    tour("update_user", ada, user_id=owner.id, json={"disabled": True}, headers=ANY)
    begun = tour("start_passkey_login", owner).json()
    sent = {"challenge": begun["challenge"], "passkey": device.get(begun["passkey_options"])}
    tour("login_with_passkey", owner, json=sent)


def added(tour: Tour, by: Visitor, device: Authenticator) -> Any:
    answer = _add(tour, by, device.create(_begun(tour, by)))
    assert answer.status_code == 201, answer.text
    return answer.json()


def _begun(tour: Tour, by: Visitor) -> Any:
    return tour("start_passkey", by).json()


def _add(tour: Tour, by: Visitor, credential: Any) -> Any:
    body = {"name": tour.marks.word("passkey", by.name), "credential": credential}
    return tour("add_passkey", by, json=body)
