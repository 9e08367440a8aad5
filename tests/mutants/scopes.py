"""Mutants that let a personal token do too much, or for too long."""

from tests.mutants.mutant import Mutant

KINDS = {
    "personal tokens that may do too much": [
        Mutant(
            "no scope is asked of a personal token",
            "service/engine/spec/demands.py",
            "claims.is_personal and self._scope not in caller.scopes",
            "False",
            "tests/engine/test_personal_tokens.py"
            "::test_a_token_without_the_scope_is_told_which_one_it_lacks",
        ),
        Mutant(
            "an operation without a scope takes every personal token",
            "service/engine/tokens/authority.py",
            "        if PERSONAL in types:\n",
            "        if ACCESS in types:\n",
            "tests/engine/test_personal_tokens.py"
            "::test_an_operation_without_a_scope_takes_no_personal_token",
        ),
        Mutant(
            "the checksum of a personal token is not compared",
            "service/engine/tokens/personal.py",
            " or _checksum(found[1]) != found[2]",
            "",
            "tests/domain/test_personal_tokens.py"
            "::test_a_token_with_one_wrong_character_is_refused",
        ),
        Mutant(
            "a program that runs wild locks out its owner",
            "service/engine/tokens/tokens.py",
            "return self.id if self.is_personal else self.subject",
            "return self.subject",
            "tests/engine/test_personal_tokens.py::test_a_token_has_limits_of_its_own",
        ),
        Mutant(
            "a 403 does not say which scope would do",
            "service/engine/http/problems.py",
            "problems.Unauthorized | problems.ScopeMissing",
            "problems.Unauthorized",
            "tests/engine/test_personal_tokens.py"
            "::test_a_token_without_the_scope_is_told_which_one_it_lacks",
        ),
    ],
}
