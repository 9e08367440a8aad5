"""A full disk under the mail folder: no request fails, nothing is half there, nothing is lost."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest

from service.mail import delivery
from service.settings import Settings
from tests.kit.disks import PAGE, Disk, small_disk
from tests.kit.mailbox import token
from tests.kit.mailer import Mailer, fresh
from tests.kit.serving import Server, serving
from tests.kit.smtp import mail_server, until

SIZE = 1024 * 1024  # bytes


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", SIZE) as own:
        yield own


def files(disk: Disk) -> set[str]:
    return {path.name for path in (disk.folder / "mail").glob("*")}


def test_mails_wait_for_disk_space_and_are_then_written_whole(
    tmp_path: Path, database: dict[str, str], disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {"mail_dir": disk.folder / "mail", **database}
    with mail_server() as nobody, serving(tmp_path, **settings) as server:
        mailer = Mailer(server, nobody)
        first, second = fresh(), fresh()
        mailer.register(first)
        arrived(server, first)
        disk.fill()
        mailer.register(second)
        mailer.request_reset(first)
        until(lambda: mailer.count("deferred") == 2)
        assert len(files(disk)) == 1
        assert caplog.text.count("is deferred: OSError ENOSPC") == 2
        assert [mail.attempts for mail in mailer.outbox(second)] == [1]
        disk.make_room()
        mailer.make_due(first)
        mailer.make_due(second)
        arrived(server, second)
        assert len(server.mailbox.wait(first, "Choose a new password")) == 1
        assert all(name.endswith(".eml") for name in files(disk))


def arrived(server: Server, address: str) -> None:
    """Wait for the verification of an address, which has to be whole."""
    [mail] = server.mailbox.wait(address, "Confirm your e-mail address")
    assert not mail.defects
    assert token(mail)


@pytest.mark.parametrize("room", [0, PAGE, 3 * PAGE])
def test_a_mail_that_did_not_fit_leaves_no_file_and_uses_no_space(room: int, disk: Disk) -> None:
    send = delivery.transport(Settings(_env_file=None, mail_dir=disk.folder / "mail"))
    message = EmailMessage()
    message["To"] = "ben@example.com"
    message.set_content("A line.\n" * 2000)
    (disk.folder / "mail").mkdir()
    disk.fill(but=room)
    free = disk.free
    with pytest.raises(OSError, match="No space left on device"):
        send(message, "4711")
    assert files(disk) == set()
    assert disk.free == free
    disk.make_room()
    send(message, "4711")
    content = (disk.folder / "mail" / "4711.eml").read_bytes()
    assert email.message_from_bytes(content, policy=default).get_content().count("A line.") == 2000
