"""Without a mail server, mails are files: private ones, complete or not there."""

from __future__ import annotations

import email
import os
import stat
from collections.abc import Iterator
from email.policy import default
from pathlib import Path

import pytest

from service.domain.mails import Letterhead, compose
from service.mail import delivery
from service.settings import Settings
from tests.kit.mailbox import token
from tests.kit.mailer import Mailer, fresh
from tests.kit.serving import serving
from tests.kit.smtp import mail_server, until


@pytest.fixture(autouse=True)
def _anything_goes() -> Iterator[None]:
    """No help from the umask."""
    before = os.umask(0)
    yield
    os.umask(before)


def write(folder: Path, recipient: str = "ben@example.com", name: str = "4711") -> None:
    letterhead = Letterhead("Byline", "Byline <no-reply@byline.example>", "https://byline.example")
    message = compose("password-reset", recipient, "t0k", {}, letterhead=letterhead, id_="1")
    delivery.transport(Settings(_env_file=None, mail_dir=folder))(message, name)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_mail_is_a_file_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "instance" / "mail"
    write(folder)
    [path] = folder.iterdir()
    assert path.name == "4711.eml"
    assert mode(path) == 0o600
    assert mode(folder) == 0o700


@pytest.mark.parametrize("address", ["ben@example.com", "zoë@xn--bcher-kva.example"])
def test_a_mail_is_complete(address: str, tmp_path: Path) -> None:
    write(tmp_path, address)
    content = (tmp_path / "4711.eml").read_bytes()
    assert b"\n" not in content.replace(b"\r\n", b"")
    message = email.message_from_bytes(content, policy=default)
    assert message["To"] == address
    assert token(message) == "t0k"
    assert not message.defects


def test_a_mail_file_that_could_not_be_finished_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(Path, "replace", ends)
    with pytest.raises(OSError):  # noqa: PT011
        write(tmp_path)
    monkeypatch.undo()
    assert list(tmp_path.glob("*.eml")) == []
    (tmp_path / "4711.new").write_bytes(b"x" * 100_000)  # what it left is in nobody's way
    write(tmp_path)
    [path] = tmp_path.iterdir()
    assert not email.message_from_bytes(path.read_bytes(), policy=default).defects


def test_a_bad_mail_folder_keeps_the_mails_and_fails_no_request(tmp_path: Path) -> None:
    bad = tmp_path / "mail"
    bad.write_text("not a folder")
    with mail_server() as nobody, serving(tmp_path, mail_dir=bad) as server:
        mailer = Mailer(server, nobody)
        address = fresh()
        mailer.register(address)
        mailer.request_reset(address)
        until(lambda: mailer.count("deferred") == 2)
        bad.unlink()
        mailer.make_due(address)
        assert len(server.mailbox.wait(address, "Choose a new password")) == 1
        assert len(server.mailbox.wait(address, "Confirm your e-mail address")) == 1
        assert nobody.connections == 0
