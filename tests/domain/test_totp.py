"""Codes of authenticator apps are those of RFC 6238, and its tools agree."""

from __future__ import annotations

import base64
import subprocess
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import pyotp
import pytest

from service.domain.totp import key_uri, matching_step, new_secret, qr_code
from tests.kit.programs import program

# RFC 6238, appendix B, of SHA-1; a code of six digits is the end of one of eight.
RFC_SECRET = base64.b32encode(b"12345678901234567890").decode()
RFC_CODES = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}
NOW = 1_796_011_121.5


@pytest.mark.parametrize(("moment", "code"), RFC_CODES.items())
def test_the_codes_are_those_of_the_rfc(moment, code):
    assert matching_step(RFC_SECRET, code[-6:], moment) == moment // 30


def test_a_code_of_oathtool_is_accepted():
    oathtool = program("oathtool")
    for moment in (59, 1_796_011_121, 20_000_000_000):
        secret = new_secret()
        command = [oathtool, "--totp", "--base32", f"--now=@{moment}", secret]
        code = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert matching_step(secret, code, moment) == moment // 30


def test_a_code_is_good_for_one_step_before_and_after_its_own():
    secret = new_secret()
    code = pyotp.TOTP(secret).at(NOW)
    found = [matching_step(secret, code, NOW + 30 * steps) for steps in range(-2, 3)]
    own = NOW // 30
    assert found == [None, own, own, own, None]


@pytest.mark.parametrize("code", ["", "00000", "0000000", "abcdef", "١٢٣٤٥٦"])
def test_what_is_no_code_matches_nothing(code):
    assert matching_step(new_secret(), code, NOW) is None


def test_secrets_have_160_bits_and_differ():
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(base64.b32decode(secret)) for secret in secrets} == {20}


@pytest.mark.parametrize(
    ("product", "account"),
    [
        ("Byline", "anna@example.com"),
        ("Tea & Co", "anna+tea@exämple.com"),
        ("Bücher?", "a/b#c%d@example.com"),
    ],
)
def test_the_uri_names_product_and_account(product, account):
    uri = key_uri("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", account, product)
    parts = urlsplit(uri)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("otpauth", "totp", "")
    assert unquote(parts.path) == f"/{product}:{account}"
    assert parts.path.count(":") == 1
    assert parts.path.count("/") == 1 + account.count("/")
    assert parse_qs(parts.query) == {
        "secret": ["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"],
        "issuer": [product],
    }
    assert "+" not in uri  # iOS shows it as it is


def test_a_colon_in_a_name_does_not_move_the_end_of_the_issuer():
    parts = urlsplit(key_uri(new_secret(), '"a:b"@example.com', "Tea: the shop"))
    assert unquote(parts.path) == '/Tea the shop:"ab"@example.com'


def test_the_qr_code_is_an_image_for_pages_without_scripts():
    data = qr_code(key_uri(new_secret(), "a" * 200 + "@example.com", "P" * 60))
    head, _, image = data.partition(",")
    assert head == "data:image/svg+xml;charset=utf-8"
    picture = ElementTree.fromstring(unquote(image))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    assert {element.tag.partition("}")[2] for element in picture.iter()} == {"svg", "g", "path"}
