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
    "personal tokens that last too long": [
        Mutant(
            "a personal token never expires",
            "service/accounts/personal_tokens.py",
            "    if row.is_expired:\n        raise TokenExpired\n",
            "",
            "tests/accounts/test_personal_tokens.py"
            "::test_an_expired_token_is_refused_and_not_listed",
        ),
        Mutant(
            "a disabled user's programs go on",
            "service/models/personal_tokens.py",
            ", User.disabled.is_(False))",
            ")",
            "tests/accounts/test_scopes.py",
            only="get_me and sqlite",
        ),
        Mutant(
            "a demoted admin's programs go on as an admin's",
            "service/accounts/personal_tokens.py",
            "role=row.role,",
            'role="admin",',
            "tests/accounts/test_ended_tokens.py"
            "::test_a_demoted_admins_token_is_a_users_from_then_on",
        ),
        Mutant(
            "a thief's personal tokens outlast a new password",
            "service/accounts/access.py",
            "    PersonalToken.revoke_all(user_id)\n",
            "",
            "tests/accounts/test_ended_tokens.py::test_all_tokens_of_an_account_end",
            only="reset_password and sqlite",
        ),
        Mutant(
            "a user's personal tokens become an admin's",
            "service/handlers/users.py",
            "PersonalToken.revoke_all(user_id)",
            "pass",
            "tests/accounts/test_ended_tokens.py::test_all_tokens_of_an_account_end",
            only="promote and sqlite",
        ),
        Mutant(
            "a thief makes a personal token while the password is reset",
            "service/accounts/personal_tokens.py",
            "if not Session.live(caller.session_id, caller.id):",
            "if False:",
            "tests/races/test_races_of_tokens.py"
            "::test_a_session_that_ends_just_before_makes_no_token",
            only="postgresql",
        ),
        Mutant(
            "a program gives roles, without anybody signing in",
            "service/engine/spec/freshness.py",
            "        if claims and claims.is_personal:\n"
            '            raise ScopeMissing(detail="A personal token cannot do this: sign in.")\n',
            "        if claims and claims.is_personal:\n            return\n",
            "tests/accounts/test_scopes.py"
            "::test_what_asks_for_a_recent_sign_in_takes_no_personal_token",
        ),
        Mutant(
            "any user ends the personal tokens of others",
            "service/models/personal_tokens.py",
            'PersonalToken.id == bindparam("of"), _its_owner)',
            'PersonalToken.id == bindparam("of"))',
            "tests/accounts/test_personal_tokens.py::test_a_revoked_token_stops_working_at_once",
        ),
        Mutant(
            "an owner is reminded again and again",
            "service/models/personal_tokens.py",
            ".values(remind_at=None)",
            ".values(remind_at=PersonalToken.remind_at)",
            "tests/delivery/test_reminders.py::test_one_mail_is_about_all_tokens_that_expire_soon",
        ),
        Mutant(
            "the owner of a leaked token learns where its finder is",
            "service/accounts/personal_tokens.py",
            ', ip="")',
            ")",
            "tests/accounts/test_ended_tokens.py::test_whoever_finds_a_token_can_end_it",
        ),
    ],
}
