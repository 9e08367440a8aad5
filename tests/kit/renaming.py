"""Gives the service another name: `make rename NAME=Acme`, in a checkout.

The service takes its name from `info.title` in openapi/openapi.yaml: its metrics, realm, tokens,
messages, files and clients follow. This changes the title, and whatever has to spell the name
because it cannot read it: packaging, manifests, alerts, documents and tests. The name is replaced
as it is, in lower case and in upper case, in texts and in names of files. The prefix of personal
tokens becomes the first three letters of the new name.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SPECIFICATION = ROOT / "openapi" / "openapi.yaml"
LOCKS = ("requirements.lock", "requirements-dev.lock")
TITLE = re.compile(r"^info:\n(?:  .*\n)*?  title: (\w+)$", re.MULTILINE)
PREFIX = re.compile(r"^ +x-token-prefix: (\w+_)$", re.MULTILINE)
# What goes on naming the service as before, and why.
KEPT = {
    "CHANGELOG.md": "it tells what was done under that name; begin your own section",
    "LICENSE": "the license asks to keep the notice of copyright; add yours to it",
}
PICTURES = {"bench/results/plot.png": "make bench", "docs/images/swagger-ui.png": "a screenshot"}
STAYS = """Where it runs already, these change with it:
  the prefix of the metrics, so dashboards and alerts of your own
  JWT_ISSUER and JWT_AUDIENCE: set both to {old} and tokens stay good
  the prefix of personal tokens: leave x-token-prefix at {prefix} and they stay good
  DATABASE_URL: without it, instance/{old}.db becomes instance/{new}.db
  users, folders, units and namespaces of deploy/
"""


def main(wanted: str) -> None:
    found = TITLE.search(SPECIFICATION.read_text("utf-8"))
    if not found:
        sys.exit(f"{SPECIFICATION} has no title of one word in its info")
    prefix = PREFIX.search(found.string)
    old, new = found[1], wanted[:1].upper() + wanted[1:]
    if problem := _problem(new):
        sys.exit(f"{problem}, for example: make rename NAME=Acme")
    if new == old:
        _say(f"It is called {new} already.\n")
        return
    taken = [path for path, text in _texts() if new.lower() in text.lower()]
    # The specification is the last, so that a run that was cut short can be repeated.
    names = [(old, new)]
    if prefix:
        names.append((prefix[1], f"{new.lower()[:3]}_"))
    changed = [_replace(path, text, names) for path, text in _texts() if path != SPECIFICATION]
    moved = [_move(path, old, new) for path in list(_files()) if old.lower() in path.name.lower()]
    changed.append(_replace(SPECIFICATION, SPECIFICATION.read_text("utf-8"), names))
    _say(f"{old} is {new} now: {sum(changed)} places in {sum(map(bool, changed))} files.\n")
    _say("".join(f"  {before} is {after}\n" for before, after in sorted(moved)))
    _say("Look at these:\n")
    _say("".join(f"  {name} still says {old}: {why}\n" for name, why in KEPT.items()))
    _say("".join(f"  {name} shows {old} ({how})\n" for name, how in PICTURES.items()))
    _say("".join(f"  {_place(path)} had the word {new} before\n" for path in sorted(taken)))
    before = prefix[1] if prefix else ""
    _say(STAYS.format(old=old.lower(), new=new.lower(), prefix=before))
    _say("Then: make clean, make format, make check\n")


def _problem(name: str) -> str | None:
    """Why the service cannot be called so."""
    word = name.lower()
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]{1,29}", name):
        return "NAME must be one word of 2 to 30 ASCII letters and digits that begins with a letter"
    locked = "".join((ROOT / lock).read_text("utf-8") for lock in LOCKS)
    if word in sys.stdlib_module_names or re.search(rf"^{word}==", locked, re.MULTILINE):
        return f"There is a package called {word} already: NAME must be another word"
    if (ROOT / word).exists():
        return f"There is a folder called {word} already: NAME must be another word"
    return None


def _files() -> Iterator[Path]:
    """The files that git would keep, but for those that keep the name."""
    lines = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    ignored = [".git", *(line.strip("/") for line in lines if line and not line.startswith("#"))]

    def below(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if any(path.match(pattern) for pattern in ignored) or path.is_symlink():
                continue
            if path.is_dir():
                yield from below(path)
            elif _place(path) not in KEPT:
                yield path

    return below(ROOT)


def _texts() -> Iterator[tuple[Path, str]]:
    for path in list(_files()):
        try:
            yield path, path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:  # a picture
            continue


def _replace(path: Path, text: str, names: list[tuple[str, str]]) -> int:
    """Replace the names in a file; how often they were there."""
    total = 0
    for old, new in names:
        text, number = _renamed(text, old, new)
        total += number
    if total:
        path.write_bytes(text.encode("utf-8"))
    return total


def _move(path: Path, old: str, new: str) -> tuple[str, str]:
    name, _ = _renamed(path.name, old, new)
    return _place(path), _place(path.rename(path.with_name(name)))


def _renamed(text: str, old: str, new: str) -> tuple[str, int]:
    """The text with the new name, in the case that the old one had, and how often it had it."""

    def like(found: re.Match[str]) -> str:
        return new.lower() if found[0].islower() else new.upper() if found[0].isupper() else new

    # The prefix of tokens is a word of its own; the name may be a part of one.
    start = r"(?<![0-9A-Za-z])" if old.endswith("_") else ""
    return re.subn(start + re.escape(old), like, text, flags=re.IGNORECASE)


def _place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _say(text: str) -> None:
    sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "")
