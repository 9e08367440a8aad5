"""Limits of the mails to a recipient, which cannot crowd out important mails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.mail_allowance import Limit, Sent, allows
from service.domain.mails import NOTICES, SUBJECTS

HOUR, DAY = 3600, 86400
OF_ONE_KIND = [Limit(3, HOUR)]
IN_ALL = [Limit(10, HOUR), Limit(20, DAY)]
RESET = "password-reset"
ASKED = sorted(SUBJECTS.keys() - NOTICES - {RESET})
BY_STRANGERS = [*ASKED, RESET, "sign-in-blocked"]


def sent_of(asked: list[tuple[str, float]]) -> list[Sent]:
    """What goes out of the mails that are asked for at these moments."""
    log: list[Sent] = []
    for kind, moment in sorted(asked, key=lambda mail: mail[1]):
        if allows(kind, log, moment, of_one_kind=OF_ONE_KIND, in_all=IN_ALL):
            log.append(Sent(kind, moment))
    return log


def most(log: list[Sent], seconds: float) -> int:
    return max((sum(m.at - seconds < n.at <= m.at for n in log) for m in log), default=0)


moments = st.floats(0, 2 * DAY, allow_nan=False)
floods = st.lists(st.tuples(st.sampled_from(sorted(SUBJECTS)), moments), max_size=200)
floods_without_resets = st.lists(
    st.tuples(st.sampled_from([*ASKED, *NOTICES]), moments), max_size=200
)


@given(floods)
def test_no_flood_passes_a_limit(asked: list[tuple[str, float]]) -> None:
    log = sent_of(asked)
    assert most(log, HOUR) <= 10
    assert most(log, DAY) <= 20
    for kind in SUBJECTS:
        assert most([mail for mail in log if mail.kind == kind], HOUR) <= 3


@given(floods_without_resets)
def test_no_flood_of_other_mails_prevents_three_resets(asked: list[tuple[str, float]]) -> None:
    resets = [(RESET, 2 * DAY + second) for second in range(3)]
    log = sent_of([*asked, *resets])
    assert [mail for mail in log if mail.kind == RESET] == [Sent(*reset) for reset in resets]


@given(st.lists(st.tuples(st.sampled_from(BY_STRANGERS), moments), max_size=200))
def test_no_flood_that_strangers_can_cause_prevents_a_notice(
    asked: list[tuple[str, float]],
) -> None:
    notice = ("password-changed", 2 * DAY + 1.0)
    assert Sent(*notice) in sent_of([*asked, notice])


@pytest.mark.parametrize("kind", sorted(SUBJECTS))
def test_a_mail_counts_for_an_hour_and_no_longer(kind: str) -> None:
    log = [Sent(kind, second) for second in range(3)]
    limits = {"of_one_kind": OF_ONE_KIND, "in_all": IN_ALL}
    assert not allows(kind, log, HOUR - 0.5, **limits)
    assert allows(kind, log, HOUR + 0.5, **limits)


def test_three_mails_of_each_of_two_kinds_are_allowed_in_an_hour() -> None:
    asked = [(kind, float(number)) for number in range(4) for kind in ASKED[:2]]
    assert len(sent_of(asked)) == 6
