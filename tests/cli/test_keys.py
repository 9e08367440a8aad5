"""The commands that keep the key ring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path


def test_the_first_key_is_generated_and_never_a_second(byline):
    assert byline("keys generate").exit_code == 0
    [path] = Path("instance/keys").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600

    ended = byline("keys generate")

    assert ended.exit_code == 1
    assert "byline keys rotate" in ended.output


def test_a_rotated_key_signs_and_the_one_before_verifies(byline):
    byline("keys generate")
    [old] = _listed(byline)
    assert byline("keys rotate").exit_code == 0

    new, former = _listed(byline)

    assert old[-1] == new[-1] == "signs"
    assert former == [*old[:-1], "verifies"]
    assert new[1] == "ES256"


def test_rotation_removes_keys_that_no_living_token_needs(byline):
    folder = Path("instance/keys")
    byline("keys generate")
    [key] = folder.iterdir()
    ages = {"superseded": 70, "in-use": 31, "newest": 3}
    for name, days in ages.items():
        made = datetime.now(UTC) - timedelta(days=days)
        (folder / f"{made:%Y%m%dT%H%M%S.%fZ}-{name}.pem").write_text(key.read_text())
    key.unlink()

    byline("keys rotate")

    names = [path.stem.partition("-")[2] for path in sorted(folder.iterdir())]
    assert names[:2] == ["in-use", "newest"]
    assert len(names) == 3


def test_a_file_that_is_no_key_is_named(byline):
    Path("instance/keys").mkdir(parents=True)
    Path("instance/keys/mine.pem").write_text("no key")

    ended = byline("keys list")

    assert ended.exit_code == 2
    assert "mine.pem" in ended.output


def _listed(byline):
    return [line.split() for line in byline("keys list").output.splitlines()]
