from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.domain.accounts import random_username
from service.domain.addresses import checked, deliverable, key, mailbox
from service.engine.problems import InvalidRequest


@pytest.mark.parametrize(
    ("address", "its_key", "delivered"),
    [
        ("ann@example.com", "ann@example.com", "ann@example.com"),
        ("Ann.B+News@EXAMPLE.Com", "ann.b+news@example.com", "Ann.B+News@example.com"),
        ("o'brien!#$%&*/=?^_`{|}~-@x.ie",) * 3,
        ("ann@xn--bcher-kva.de",) * 3,
        ("root@localhost",) * 3,
        ("root@mail.corp.local",) * 3,
        ("ann@byline.test",) * 3,
        ("a" * 64 + "@b.de",) * 3,
        ("a@" + ".".join(["b" * 63] * 3),) * 3,
        # UTS 46, non-transitional
        ("max@faß.de", "max@xn--fa-hia.de", "max@xn--fa-hia.de"),
        ("max@FAẞ.de", "max@xn--fa-hia.de", "max@xn--fa-hia.de"),
        ("max@fass.de",) * 3,
        ("nikos@κόσμος.gr", "nikos@xn--vxaejmc7c.gr", "nikos@xn--vxaejmc7c.gr"),
        ("nikos@κόσμοσ.gr", "nikos@xn--vxaejoc4c.gr", "nikos@xn--vxaejoc4c.gr"),
        ("sara@نامه‌ای.com", "sara@xn--mgba3gch31f060k.com", "sara@xn--mgba3gch31f060k.com"),
        ("sara@xn--mgba3gch31f060k.com",) * 3,
        ("संपर्क@डाटामेल.भारत", *["संपर्क@xn--c2bd4bq1db8d.xn--h2brj9c"] * 2),
        ("Eva@MÜLLER.example", "eva@xn--mller-kva.example", "Eva@xn--mller-kva.example"),
        ("eva@mu\u0308ller.example", *["eva@xn--mller-kva.example"] * 2),
        ("ann@\uff45xample\uff0ecom", "ann@example.com", "ann@example.com"),
        # Another mailbox, as far as mail servers know, but too near for another account.
        ("\uff21nn@example.com", "ann@example.com", "\uff21nn@example.com"),
        ("\ufb01ona@example.com", "fiona@example.com", "\ufb01ona@example.com"),
        ("\u212aim@example.com", "kim@example.com", "\u212aim@example.com"),
        ("Zoe\u0308@example.com", "zo\u00eb@example.com", "Zoe\u0308@example.com"),
        ("straße@example.com",) * 3,
    ],
)
def test_an_address_stays_as_it_was_typed_and_has_one_key(
    address: str, its_key: str, delivered: str
) -> None:
    assert checked(address) == address
    assert key(address) == key(its_key) == its_key
    assert deliverable(address) == delivered


@pytest.mark.parametrize(
    ("address", "its_mailbox"),
    [
        ("ann@example.com", "ann@example.com"),
        ("Ann+News@EXAMPLE.com", "ann@example.com"),
        ("ann+a+b@example.com", "ann@example.com"),
        ("ann\uff0bnews@example.com", "ann@example.com"),  # a wide plus
        ("ann+@example.com", "ann@example.com"),
        ("+ann@example.com", "+ann@example.com"),
        ("a.nn@example.com", "a.nn@example.com"),
        ("a.n.n+x@gmail.com", "ann@gmail.com"),
        ("ann@GoogleMail.com", "ann@gmail.com"),
        ("ann@mail.gmail.com", "ann@mail.gmail.com"),
    ],
)
def test_mails_are_counted_by_mailbox(address: str, its_mailbox: str) -> None:
    assert mailbox(checked(address)) == mailbox(its_mailbox) == its_mailbox


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
        "ann@127.0.0.1",
        "ann@0x7f.1",
        "ann@example.1",
        "ann@xn--a.example",
        "ann@ab--cd.example",
        "ann@\u2764.example",
        "ann@1א.example",
        "ann;bob@example.com",
        "ann\uff1bbob@example.com",
        "ann\u037ebob@example.com",
        "=?utf-8?q?bob?=@example.com",
        "a" * 65 + "@example.com",
        "é" * 33 + "@example.com",
        "a@" + "b" * 64 + ".de",
        "a@" + ".".join(["b" * 62] * 4) + ".de",
        "ﷺ" * 64 + "@example.com",
        "a" * 1_000_000,
        "@" * 254,
    ],
)
def test_a_malformed_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        checked(address)
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
@example("ann@example\u3002com")
def test_a_key_is_an_address_with_itself_as_its_key(address: str) -> None:
    try:
        its_key = key(checked(address))
    except InvalidRequest:
        return
    assert key(checked(its_key)) == its_key
    assert its_key == key(deliverable(address))
    assert its_key.count("@") == 1
    assert its_key.isprintable()
    assert " " not in its_key


@given(st.text(max_size=300))
@example("")
@example("ann")
@example("ann@" + "ü" * 100)
@example("ann@ab--cd.example")
def test_every_text_has_a_key_even_if_the_rules_refuse_it(text: str) -> None:
    assert key(text) == key(text.upper() if text.isascii() else text)


def test_a_random_user_name_is_a_valid_one_and_new_each_time() -> None:
    names = {random_username() for _ in range(1000)}
    assert len(names) == 1000
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9_-]{2,29}", name) for name in names)
