"""A new key reaches machines that share no folder one after the other, and no request fails."""

from __future__ import annotations

import shutil
from pathlib import Path

import jwt

from service.engine.tokens.keys import generate_key
from tests.kit.serving import Person, Server, serving
from tests.kit.smtp import until


def test_a_key_whose_name_sorts_first_verifies_and_signs_only_once_it_is_renamed(
    tmp_path: Path,
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    old = generate_key(folders[0])
    shutil.copytree(folders[0], folders[1])
    new = generate_key(tmp_path / "new")
    with (
        serving(tmp_path, jwt_keys_dir=folders[0]) as here,
        serving(tmp_path, jwt_keys_dir=folders[1]) as there,
    ):
        anna = here.sign_up()
        for folder in folders:
            shutil.copy2(new, folder / f"0-{new.name}")
        for machine in (here, there):
            until(lambda machine=machine: len(_published(machine)) == 2)
        assert _signer(here.sign_in(anna.email)) == _signer(anna)

        (folders[0] / f"0-{new.name}").rename(folders[0] / new.name)
        renewed = here.sign_in(anna.email)
        assert _signer(renewed) != _signer(anna)
        for person in (anna, renewed):
            for machine in (here, there):
                with machine.client(person.tokens["access_token"]) as client:
                    assert client.get("/auth/me").status_code == 200
        assert min(folders[0].glob("*.pem")).name == old.name


def _published(machine: Server) -> list[str]:
    with machine.client() as client:
        return [key["kid"] for key in client.get("/.well-known/jwks.json").json()["keys"]]


def _signer(person: Person) -> str:
    return str(jwt.get_unverified_header(person.tokens["access_token"])["kid"])
