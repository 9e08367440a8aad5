"""Where the tokens of a session are kept: in memory, in a file, or in a place of your own."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from abc import ABC, abstractmethod
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens of a session. Their texts are secrets, and not part of the `repr`.

    `session` is another text for each time that somebody signs in, empty if it is not known.
    `renew_at` and `expires_at` are times of this machine's clock, in seconds since 1970: when to
    ask for another access token, and when this one expires. `origin` is the address of the
    service; the tokens are sent to no other.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    renew_at: float
    expires_at: float
    origin: str
    session: str = field(default="", repr=False)

    @property
    def owner(self) -> str:
        """Whose they are: the `sub` of an access token that is a JSON web token (RFC 7519), or
        else the session."""
        try:
            claims = self.access_token.split(".")[1]
            return str(json.loads(urlsafe_b64decode(claims + "=="))["sub"])
        except (IndexError, KeyError, RecursionError, TypeError, ValueError):
            return self.session

    def to_json(self) -> str:
        """What `from_json` reads. It contains the secrets."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Tokens | None:
        """The tokens, or None if the text is something else."""
        try:
            read = json.loads(text)
            return cls(
                str(read["access_token"]),
                read["refresh_token"] and str(read["refresh_token"]),
                float(read["renew_at"]),
                float(read["expires_at"]),
                str(read["origin"]),
                str(read.get("session") or ""),  # older versions wrote none
            )
        except (KeyError, TypeError, ValueError):
            return None


class Store(ABC):
    """Where tokens are kept. A store of your own has `load` and `save`, and `lock` if several
    processes share it."""

    @abstractmethod
    def load(self) -> Tokens | None:
        """The tokens that were saved last."""

    @abstractmethod
    def save(self, tokens: Tokens | None) -> None:
        """Keep these tokens instead of others; None after signing out."""

    def lock(self) -> Callable[[], None] | None:
        """A function that lets others renew the tokens again, or None while another process does.
        The client asks again soon."""
        return _unlocked


class AsyncStore(ABC):
    """The same for the asynchronous client, which takes a `Store` as well."""

    @abstractmethod
    async def load(self) -> Tokens | None:
        """The tokens that were saved last."""

    @abstractmethod
    async def save(self, tokens: Tokens | None) -> None:
        """Keep these tokens instead of others; None after signing out."""

    async def lock(self) -> Callable[[], Awaitable[None] | None] | None:
        """A function that lets others renew the tokens again, or None while another process does.
        The client asks again soon."""
        return _unlocked


class MemoryStore(Store):
    """Keeps the tokens for as long as the program runs. It is what clients have by default.

    Processes that are forked have a copy each, and the service ends a session whose tokens two
    processes renew: give them a `FileStore`.
    """

    def __init__(self) -> None:
        self._tokens: Tokens | None = None

    def load(self) -> Tokens | None:
        return self._tokens

    def save(self, tokens: Tokens | None) -> None:
        self._tokens = tokens


class FileStore(Store):
    """Keeps the tokens in a file that only its owner can read, so that a program is signed in
    when it starts again. Any number of processes of a machine may share the file and the session:
    one of them renews the tokens, and the others take them from there.

    The file is replaced as a whole, so that it is never half written. A second file beside it,
    whose name ends in `.lock`, is empty. OSError is raised if they cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().resolve()

    def __repr__(self) -> str:
        return f"FileStore({str(self.path)!r})"

    def load(self) -> Tokens | None:
        try:
            return Tokens.from_json(self.path.read_bytes())
        except FileNotFoundError:
            return None

    def save(self, tokens: Tokens | None) -> None:
        if tokens is None:
            self.path.unlink(missing_ok=True)
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files that only their owner can read.
        number, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(tokens.to_json())
                file.flush()
                os.fsync(number)
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def lock(self) -> Callable[[], None] | None:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = self.path.with_name(f"{self.path.name}.lock")
        number = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
        if not _lock(number):
            os.close(number)
            return None

        def unlock() -> None:
            _unlock(number)
            os.close(number)

        return unlock


def _unlocked() -> None:
    """There is nothing to unlock."""


if sys.platform == "win32":
    import msvcrt

    def _lock(number: int) -> bool:
        try:
            msvcrt.locking(number, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(number: int) -> None:
        os.lseek(number, 0, os.SEEK_SET)
        msvcrt.locking(number, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(number: int) -> bool:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(number: int) -> None:
        fcntl.flock(number, fcntl.LOCK_UN)
