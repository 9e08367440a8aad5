"""Authenticator apps outlive the keys with which their secrets were sealed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import select

from service.engine.tokens.keys import KeyRing, generate_key
from service.models import TotpFactor
from tests.kit.commands import run
from tests.kit.second_factors import App, add_app, challenged, complete, log_in, signed_in
from tests.kit.serving import Server
from tests.kit.smtp import until
from tests.kit.waking import wake


@pytest.fixture
def own(serve: Callable[..., Server]) -> Server:
    """A server with keys of its own, to rotate."""
    return serve()


def secret(server: Server, app: App) -> str:
    its = select(TotpFactor.secret).where(TotpFactor.user_id == app.person.id)
    [[found]] = server.execute(its)
    return str(found)


def newest(server: Server) -> str:
    return KeyRing.from_directory(server.settings.jwt_keys_dir).newest().kid


def test_secrets_are_sealed_anew_after_a_rotation(own: Server) -> None:
    app, ben = add_app(own.sign_up()), own.sign_up()
    add_app(ben)
    [old] = own.settings.jwt_keys_dir.glob("*.pem")
    generate_key(own.settings.jwt_keys_dir)
    wake()
    until(lambda: secret(own, app).startswith(newest(own)))
    old.unlink()
    generate_key(own.settings.jwt_keys_dir)  # so that the folder is read again
    assert signed_in(own, app)


def test_a_rotation_at_once_seals_secrets_before_it_removes_keys(own: Server, tmp_path) -> None:
    app = add_app(own.sign_up())
    its = {"JWT_KEYS_DIR": own.settings.jwt_keys_dir, "DATABASE_URL": own.settings.database_url}
    ended = run(tmp_path, "keys", "rotate", "--now", **{k: str(v) for k, v in its.items()})
    assert "is removed" in ended.stdout
    assert secret(own, app).startswith(newest(own))
    assert signed_in(own, app)


def test_without_the_key_recovery_codes_still_sign_in(own: Server) -> None:
    app = add_app(own.sign_up())
    with own.flask.app_context():
        lost = "lost" + secret(own, app)  # as if its key had been removed
    its = TotpFactor.__table__.update().where(TotpFactor.user_id == app.person.id)
    own.execute(its.values(secret=lost))
    with own.client() as http:
        assert log_in(http, app.person).json()["methods"] == ["recovery-code"]
        assert complete(http, challenged(http, app.person), app.code()).status_code == 401
        answer = complete(http, challenged(http, app.person), app.recovery_codes[0])
    assert answer.status_code == 200
    app.person.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    assert signed_in(own, add_app(app.person))
