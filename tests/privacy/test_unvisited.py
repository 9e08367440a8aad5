"""An operation that no visit is about is visited all the same: here some that have visits."""

from __future__ import annotations

from pathlib import Path

from tests.kit.commands import serving
from tests.kit.references import resolved
from tests.privacy import programs, unvisited
from tests.privacy.evidence import FIRST
from tests.privacy.marks import Marks
from tests.privacy.tour import OPERATIONS, Tour

LIKE_NEW = ["list_users", "get_user", "list_sessions", "list_audit_events"]
LIKE_NEW += ["list_posts", "create_post", "get_post", "update_post", "delete_post"]  # posts
# These are had by other means: broken requests, no token, a limit, a database that is away; and two
# requests at once with one key, or a full quota, which test_privacy.py has.
OF_ALL = {"400", "401", "409", "413", "415", "429", "503"}


def test_an_operation_without_a_visit_gets_the_answers_of_its_paragraph(tmp_path: Path) -> None:
    tour = Tour(Marks(), tmp_path)
    settings = {**FIRST, "JWT_KEYS_DIR": "keys", "MAIL_DIR": "mail"}
    with serving(tmp_path, **settings) as url, tour.at(url):
        anna, ben = tour.sign_up("anna"), tour.sign_up("ben")
        unvisited.call(tour, [*LIKE_NEW, *unvisited.UNVISITED], (anna, ben))
        programs.calling(tour, anna)
    seen = {(heard.operation, str(heard.status)) for heard in tour.heard}
    expected = {
        (name, status)
        for name in [*LIKE_NEW, *unvisited.UNVISITED]
        for status in resolved(OPERATIONS[name][2])["responses"]
        if status not in OF_ALL
    }
    missing = expected - seen
    assert not missing, f"no visit gets {sorted(missing)}: add one to tests/privacy/visits.py"
