"""Limits of guesses from one network, from all of them, and in a row."""

from __future__ import annotations

import pytest

from service.domain.guard import SHUT_OUT_SECONDS, Failure, History, Limit, Refusal, Rules

RULES = Rules(Limit(10, 900), Limit(30, 3600), 100)
MINUTE, HOUR, DAY = 60, 3600, 86_400
HOME, ABROAD = "192.0.2.0/24", "203.0.113.0/24"
START = 1_000_000.0


def attempt(history: History, at: float, network: str, *, stranger: bool = True) -> Refusal | None:
    """One failing attempt, if it may be made."""
    made = Failure(at, network, stranger)
    refusal = history.refusal(RULES, made)
    if refusal is None:
        history.add(RULES, made)
    return refusal


def strangers(history: History, at: float, number: int) -> list[Refusal | None]:
    """Attempts from as many networks."""
    return [attempt(history, at, f"198.51.{number}.0/24") for number in range(number)]


def test_ten_fail_from_one_network_in_any_quarter_of_an_hour() -> None:
    history = History()
    for number in range(10):
        assert attempt(history, START + number, HOME) is None
    assert attempt(history, START + 10, HOME) == Refusal(False, 890)
    assert attempt(history, START + 899, HOME) == Refusal(False, 1)
    assert attempt(history, START + 900, HOME) is None  # only the first has passed
    assert attempt(history, START + 900, HOME) == Refusal(False, 1)
    assert attempt(history, START + 10, ABROAD) is None


def test_thirty_fail_in_any_hour_from_all_strangers() -> None:
    history = History()
    assert strangers(history, START, 30) == [None] * 30
    assert attempt(history, START + 1, ABROAD) == Refusal(True, HOUR - 1)
    assert attempt(history, START + HOUR, ABROAD) is None


def test_strangers_cannot_block_a_known_network() -> None:
    history = History()
    for hour in range(5):
        strangers(history, START + hour * HOUR, 40)
    assert attempt(history, START + 5 * HOUR, HOME, stranger=False) is None
    assert attempt(history, START + 5 * HOUR, ABROAD) == Refusal(
        True, START + 3 * HOUR + SHUT_OUT_SECONDS - (START + 5 * HOUR)
    )


def test_after_a_hundred_in_a_row_strangers_are_shut_out_until_a_success() -> None:
    history = History()
    evaluated = sum(
        refusal is None
        for hour in range(24)
        for refusal in strangers(history, START + hour * HOUR, 40)
    )
    assert evaluated == 100
    assert attempt(history, START + 80 * DAY, ABROAD) is not None
    history.succeed(HOME)
    assert attempt(history, START + 80 * DAY, ABROAD) is None


def test_failures_in_a_row_are_forgotten_after_quiet_days() -> None:
    history = History()
    strangers(history, START, 3)
    attempt(history, START + 3 * DAY - 1, ABROAD)
    assert history.in_a_row == 4
    attempt(history, START + 7 * DAY, ABROAD)
    assert history.in_a_row == 1


def test_a_success_forgets_what_failed_in_its_network_alone() -> None:
    history = History()
    for _ in range(10):
        attempt(history, START, HOME)
        attempt(history, START, ABROAD)
    history.succeed(HOME)
    assert attempt(history, START, HOME) is None
    assert attempt(history, START, ABROAD) == Refusal(False, 900)


def test_an_uncounted_attempt_counts_nowhere() -> None:
    history = History()
    for _ in range(9):
        attempt(history, START, HOME)
    for _ in range(200):
        assert attempt(history, START + 1, HOME) is None
        history.take_back(Failure(START + 1, HOME, True))
    assert (history.in_a_row, len(history.failures)) == (9, 9)


def test_the_owner_gets_one_notice_a_day() -> None:
    history = History()
    assert history.must_tell(START)
    assert not history.must_tell(START + DAY - 1)
    assert history.must_tell(START + DAY)


@pytest.mark.parametrize(("failures", "lasts"), [(1, DAY), (10, 10 * DAY), (100, SHUT_OUT_SECONDS)])
def test_a_history_expires_when_nothing_of_it_matters(failures: int, lasts: float) -> None:
    history = History()
    for number in range(failures):
        history.add(RULES, Failure(START, str(number), True))
    assert history.expires_at(RULES) == START + lasts
    assert History.loads(history.dumps()) == history
