from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.accounts import normal_email, random_username
from service.problems import InvalidRequest


@pytest.mark.parametrize(
    ("given_address", "kept"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann.B+News@EXAMPLE.Com", "ann.b+news@example.com"),
        ("o'brien!#$%&*/=?^_`{|}~-@x.ie", "o'brien!#$%&*/=?^_`{|}~-@x.ie"),
        ("\uff21\uff2e\uff2e\uff20\uff45xample\uff0ecom", "ann@example.com"),
        ("\u212aim@example.com", "kim@example.com"),
        ("Zoe\u0308@Bu\u0308cher.de", "zo\u00eb@b\u00fccher.de"),
        ("ann@xn--bcher-kva.de", "ann@xn--bcher-kva.de"),
        ("संपर्क@डाटामेल.भारत", "संपर्क@डाटामेल.भारत"),
        ("root@localhost", "root@localhost"),
        ("a" * 64 + "@b.de", "a" * 64 + "@b.de"),
        ("a@" + ".".join(["b" * 63] * 3), "a@" + ".".join(["b" * 63] * 3)),
    ],
)
def test_an_address_is_kept_in_one_form(given_address: str, kept: str) -> None:
    assert normal_email(given_address) == kept


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "ann",
        "ann@",
        "@example.com",
        "ann@bob@example.com",
        "ann\uff20bob@example.com",
        " ann@example.com",
        "ann@example.com ",
        "ann@example.com\n",
        "a nn@example.com",
        "ann\u00a0b@example.com",
        "ann\u2028b@example.com",
        "ann\u200bb@example.com",
        "ann\u034fb@example.com",
        "ann\ufe0f@example.com",
        "ann\u3164@example.com",
        "ann\u115f@example.com",
        "ann\u17b4@example.com",
        "ann@exa\u034fmple.com",
        "ann\0@example.com",
        "ann\x7f@example.com",
        "ann\u0085@example.com",
        "ann\r\nBcc:bob@example.com",
        "ann\ud800@example.com",
        "ann@example\ud800.com",
        '"ann b"@example.com',
        '"ann@bob"@example.com',
        "ann@[127.0.0.1]",
        "<ann@example.com>",
        "Ann <ann@example.com>",
        "ann,bob@example.com",
        "ann(x)@example.com",
        ".ann@example.com",
        "ann.@example.com",
        "an..n@example.com",
        "ann@.example.com",
        "ann@example.com.",
        "ann@example..com",
        "ann@-example.com",
        "ann@example-.com",
        "ann@exa_mple.com",
        "ann@exa!mple.com",
        "ann@example。com",
        "a" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        "a@" + "b" * 64 + ".de",
        "a@" + ".".join(["b" * 62] * 4) + ".de",
        "ﷺ" * 64 + "@example.com",
        "a" * 1_000_000,
        "@" * 254,
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        normal_email(address)
    assert refusal.value.errors == [
        {"pointer": "/email", "code": "format", "detail": "This is not an e-mail address."}
    ]


addresses = st.one_of(
    st.text(max_size=300),
    st.emails(),
    st.builds("{}@{}.com".format, st.text(min_size=1, max_size=20), st.text(min_size=1)),
)


@given(addresses)
@example("\u0345\u0390@example.com")
def test_normalising_twice_changes_nothing_more(address: str) -> None:
    try:
        kept = normal_email(address)
    except InvalidRequest:
        return
    assert normal_email(kept) == kept
    assert kept.count("@") == 1
    assert kept.isprintable()
    assert " " not in kept


def test_a_random_user_name_is_a_valid_one_and_new_each_time() -> None:
    names = {random_username() for _ in range(1000)}
    assert len(names) == 1000
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{2,29}", name) for name in names)
