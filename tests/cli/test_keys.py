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


def test_a_rotated_key_is_published_before_it_signs(byline):
    byline("keys generate")
    [old] = _listed(byline)
    before = datetime.now(UTC)
    assert byline("keys rotate").exit_code == 0

    new, former = _listed(byline)

    assert (former, new[-1], new[1]) == (old, "published", "ES256")
    wait = datetime.fromisoformat(new[2]) - before
    assert timedelta(seconds=655) < wait < timedelta(seconds=725)  # max-age, and a minute to notice


def test_hidden_files_beside_the_keys_are_ignored(byline):
    byline("keys generate")
    [key] = Path("instance/keys").iterdir()
    hidden = [key.with_name(f"._{key.name}"), key.with_name(".swap.pem")]  # of macOS, of an editor
    for path in hidden:
        path.write_text("no key")
    assert byline("keys generate").exit_code == 1
    assert len(_listed(byline)) == 1
    assert byline("keys rotate --now").exit_code == 0
    assert len(_listed(byline)) == 1
    assert all(path.exists() for path in hidden)


def test_after_a_theft_the_new_key_signs_at_once_and_no_other_verifies(byline):
    byline("keys generate")
    byline("keys rotate")
    former = {kid for kid, *_ in _listed(byline)}

    assert byline("keys rotate --now").exit_code == 0

    [[kid, *_, does]] = _listed(byline)
    assert does == "signs"
    assert kid not in former


def test_rotating_without_a_key_makes_one_that_signs_at_once(byline):
    assert byline("keys rotate").exit_code == 0
    [[*_, does]] = _listed(byline)
    assert does == "signs"


def test_rotation_removes_keys_whose_tokens_have_expired(byline):
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
