"""Warnings at start about settings that are valid but probably a mistake. No line contains a
value."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from service.engine.http.hosts import TrustedHosts
from service.engine.settings import given_names
from service.settings import Settings
from service.specification import specification

TWO_MISTAKES_CHARACTERS = 18  # a name of this length may have two typing mistakes
# Variables of other programs whose names are similar to ours.
_OTHERS = {"MAILDIR", "LOGLEVEL"}


def warnings(settings: Settings) -> Iterator[str]:
    """The warnings to print at start, as lines."""
    for given, known in misspelt(given_names(), [name.upper() for name in Settings.model_fields]):
        yield f"{given} is not a setting. Did you mean {known}?"
    if settings.smtp_url is None and not _can_be_written(settings.mail_dir):
        yield "MAIL_DIR is not writable, so mails wait: set SMTP_URL or choose another folder."
    site = urlsplit(settings.public_url)
    mails_go_out = settings.smtp_url and not is_local(urlsplit(settings.smtp_url).hostname or "")
    if mails_go_out and is_local(site.hostname or ""):
        yield "PUBLIC_URL is an address of this machine: others cannot open the links in mails."
    if not is_local(site.hostname or ""):
        if site.scheme == "http":
            yield "PUBLIC_URL is http://: the tokens in mailed links travel without encryption."
        if not TrustedHosts(settings.trusted_hosts).matches(site.netloc):
            yield "TRUSTED_HOSTS lacks the host of PUBLIC_URL, so requests for it are refused."
        if "passkey_origins" not in settings.model_fields_set and not _can_have_passkeys(site):
            yield "PUBLIC_URL is no https:// address with a name: browsers refuse passkeys there."


def _can_have_passkeys(site: SplitResult) -> bool:
    """Whether browsers allow passkeys at an address that is not of this machine."""
    return site.scheme == "https" and not re.fullmatch(r"[0-9.]+|.*:.*", site.hostname or "")


def is_local(host: str) -> bool:
    """Whether a host name or address means this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _can_be_written(folder: Path) -> bool:
    """Whether files can be created there; a missing folder is created later."""
    found = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return found.is_dir() and os.access(found, os.W_OK | os.X_OK)


def misspelt(given: Iterable[str], known: list[str]) -> Iterator[tuple[str, str]]:
    """Each given name that is similar to a known one, with the known one."""
    plain = {_plain(name): name for name in known}
    ours = _plain(specification.name)
    for name in sorted(set(given) - set(known) - _OTHERS):
        word = _plain(name)
        near = plain.get(word) or plain.get(word.removeprefix(ours))
        if not near and len(word) >= 6:
            near = next((n for w, n in plain.items() if _is_near(word, w)), None)
        # Kubernetes sets <NAME>_PORT and <NAME>_HOST for a service of that name.
        if near and not (near in {"HOST", "PORT"} and word.startswith(ours)):
            yield name, near


def _plain(name: str) -> str:
    return name.upper().replace("_", "").replace("-", "")


def _is_near(word: str, known: str) -> bool:
    most = 2 if len(known) >= TWO_MISTAKES_CHARACTERS else 1
    # A cheap check first: most names have other letters.
    if abs(len(word) - len(known)) > most or len(set(word) ^ set(known)) > 2 * most:
        return False
    return len(known) >= 6 and _distance(word, known) <= most


def _distance(one: str, other: str) -> int:
    """The number of letters to add, remove, replace or swap to turn one word into the other
    (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        current = [i]
        for j, target in enumerate(other, 1):
            least = min(row[j] + 1, current[-1] + 1, row[j - 1] + (letter != target))
            if i > 1 and j > 1 and letter == other[j - 2] and target == one[i - 2]:
                least = min(least, before[j - 2] + 1)
            current.append(least)
        before, row = row, current
    return row[-1]
