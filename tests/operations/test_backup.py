"""A backup made under writes, as docs/operations.md has it, restored on each database."""

from __future__ import annotations

import stat
import time

from tests.kit.installations import Installation, PostgresInstallation
from tests.kit.mailbox import Mailbox
from tests.kit.ports import free_port
from tests.kit.smtp import until
from tests.kit.writers import WORD, client, register, sign_in, signed_up, writing

_HALF = [
    "SELECT count(*) FROM posts WHERE id NOT IN (SELECT post_id FROM post_documents)",
    "SELECT count(*) FROM post_documents WHERE post_id NOT IN (SELECT id FROM posts)",
    "SELECT count(*) FROM users WHERE id NOT IN (SELECT user_id FROM audit_events)",
    "SELECT abs((SELECT count(*) FROM posts) - (SELECT count(*) FROM idempotency_keys))",
]


def test_a_backup_under_writes_has_all_that_was_acknowledged_before_it(
    byline: Installation,
) -> None:
    with byline.serving() as url, signed_up(url) as reader:
        with writing(url) as writers:
            until(lambda: len(writers.written) > 50)
            while True:  # until it has really been made under writes
                start = time.monotonic()
                backup = byline.back_up()
                if writers.during(start, time.monotonic()):
                    break
        token = {"Authorization": reader.headers["Authorization"]}
    promised = writers.before(start)
    modes = _modes(byline)

    assert "The schema is current." in byline.restore(backup)
    assert [byline.ask(statement) for statement in _HALF] == [0, 0, 0, 0]
    assert byline.damages() == []
    assert _modes(byline) == modes
    with byline.serving() as url, signed_up(url) as stranger:
        for post in promised:
            assert stranger.get(f"/api/posts/{post['id']}").json() == post
        found = stranger.get(f"/api/search?q={promised[-1]['title']}").json()["results"]
        assert [result["post"] for result in found] == [promised[-1]]
        assert len(stranger.get(f"/api/search?q={WORD}&limit=50").json()["results"]) == 50
        assert stranger.get("/auth/me", headers=token).status_code == 200
        written = stranger.post("/api/posts", json={"title": "Anew", "content": "After it."})
        assert written.status_code == 201


def test_sessions_ended_after_the_backup_are_alive_until_all_are_ended(
    byline: Installation,
) -> None:
    with byline.serving() as url, client(url) as anonymous:
        anna = register(url)
        ended = sign_in(url, anna)
        asked = anonymous.post("/auth/password-resets", json={"email": anna})
        assert asked.status_code == 202
        mailed = Mailbox(byline.home / "instance" / "mail").token(anna, "Choose a new password")
        reset = {"token": mailed, "new_password": "another long battery staple"}
        until(lambda: byline.ask("SELECT count(*) FROM mails WHERE due_at IS NOT NULL") == 0)
        backup = byline.back_up()
        done = anonymous.post("/auth/password-resets/complete", json=reset)
        assert done.status_code == 204
        assert anonymous.get("/auth/me", headers=ended).status_code == 401

    byline.restore(backup)
    with byline.serving() as url, client(url) as anonymous:
        assert anonymous.get("/auth/me", headers=ended).status_code == 200
        byline.end_sessions()
        assert anonymous.get("/auth/me", headers=ended).json()["code"] == "session-revoked"
        again = anonymous.post("/auth/password-resets/complete", json=reset)
        assert again.json()["code"] == "token-invalid"
        assert anonymous.get("/auth/me", headers=sign_in(url, anna)).status_code == 200


def test_without_the_keys_of_the_backup_all_users_sign_in_again(byline: Installation) -> None:
    with byline.serving() as url:
        anna = register(url)
        before = sign_in(url, anna)
        backup = byline.back_up()
    byline.restore(backup)
    byline.lose_keys()

    if isinstance(byline, PostgresInstallation):
        stopped = byline.run("serve", "--port", str(free_port()))
        assert stopped.returncode == 2
        assert "byline keys generate" in stopped.stderr
        assert byline.run("keys", "generate").returncode == 0
    with byline.serving() as url, client(url) as anonymous:
        refused = anonymous.get("/auth/me", headers=before)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid-token")
        assert anonymous.get("/auth/me", headers=sign_in(url, anna)).status_code == 200


def _modes(byline: Installation) -> dict[str, int]:
    """The keys, and who may read them."""
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in byline.keys.rglob("*.pem")}
