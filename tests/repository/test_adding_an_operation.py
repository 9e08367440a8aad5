"""docs/adding-an-operation.md, followed to the letter in a copy of the repository."""

import re

from tests.kit.copies import ROOT, copy_repository, run_tests

GUIDE = (ROOT / "docs" / "adding-an-operation.md").read_text()
BLOCK = r"nto\s`([^`]+)`, (?:before `([^`]+)`|at the end)\n\n```\w+\n(.*?)```"
REPLACEMENT = r"in `([^`]+)`, `([^`]+)`\s+becomes `([^`]+)`"

CHECKS = [
    *(
        "-v",
        "tests/spec/test_contract.py",
        "tests/repository/test_architecture.py",
        "tests/accounts/test_users.py",
    ),
    *("-k", "contract or architecture or (posts_have_an_address and sqlite)"),
]


def test_the_guide_adds_an_operation_in_three_steps_and_three_files(tmp_path):
    copy = copy_repository(tmp_path / "copy")
    changed = set()
    for file, anchor, text in re.findall(BLOCK, GUIDE, re.DOTALL):
        before = (copy / file).read_text()
        assert not anchor or before.count(anchor) == 1
        (copy / file).write_text(before.replace(anchor, text + anchor) if anchor else before + text)
        changed.add(file)
    for file, old, new in re.findall(REPLACEMENT, GUIDE):
        before = (copy / file).read_text()
        assert old in before
        (copy / file).write_text(before.replace(old, new))
    assert len(changed) == 3

    code, printed = run_tests(copy, *CHECKS)

    assert code == 0, printed[-4000:]
    assert "test_a_users_posts_have_an_address_of_their_own[sqlite] PASSED" in printed
    assert "list_user_posts" in printed  # the contract test found it by itself
