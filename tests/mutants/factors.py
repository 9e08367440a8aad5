"""Mutants of second factors: codes that work twice, tries that nobody counts."""

from tests.mutants.mutant import Mutant

SECOND = "tests/accounts/test_second_factors.py::"
RACES = "tests/races/test_races_of_factors.py::"

KINDS = {
    "second factors": [
        Mutant(
            "a code of an app is accepted twice",
            "service/accounts/factors.py",
            "    if step is None or step <= app.last_step:",
            "    if step is None:",
            SECOND + "test_a_code_works_once",
        ),
        Mutant(
            "a code of an app is accepted twice at the same time",
            "service/models/totp_factors.py",
            'TotpFactor.last_step < bindparam("step"))',
            'TotpFactor.last_step <= bindparam("step"))',
            RACES + "test_of_two_sign_ins_with_one_code_one_succeeds",
        ),
        Mutant(
            "a challenge is used twice",
            "service/accounts/second_step.py",
            "if account is None or not Challenge.use(challenge, SECOND_FACTOR):",
            "if account is None:",
            SECOND + "test_a_challenge_works_once",
        ),
        Mutant(
            "tries at a challenge are not counted",
            "service/models/challenges.py",
            ".values(tries=Challenge.tries + 1)",
            ".values(tries=Challenge.tries)",
            SECOND + "test_a_challenge_has_five_tries_and_the_owner_is_told",
        ),
        Mutant(
            "a recovery code is used twice",
            "service/models/recovery_codes.py",
            "return bool(_use.write(of=user_id, hash=digest))",
            "return bool(_find.first(of=user_id, hash=digest))",
            SECOND + "test_a_recovery_code_signs_in_once_and_the_owner_is_told",
        ),
        Mutant(
            "a right password clears wrong codes",
            "service/accounts/guard.py",
            'self._key(f"factor {user_id}")',
            'self._key(f"user {user_id}")',
            "tests/web/test_factor_guard.py::test_a_right_password_does_not_clear_wrong_codes",
        ),
        Mutant(
            "a new password leaves challenges",
            "service/models/sessions.py",
            "        Challenge.revoke_all(user_id)\n",
            "",
            SECOND + "test_a_new_password_ends_challenges",
        ),
        Mutant(
            "a password makes a session fresh although there is a second factor",
            "service/accounts/reauthentication.py",
            "    if methods:\n",
            "    if not methods:\n",
            SECOND + "test_a_session_becomes_fresh_with_a_code_only",
        ),
        Mutant(
            "an administrator takes away the link that stops a reset",
            "service/models/mails.py",
            "UNREVOKED = {FACTOR_RESET}",
            "UNREVOKED = set[str]()",
            "tests/accounts/test_factor_resets.py"
            "::test_no_admin_can_take_the_owners_link_away[sqlite-change0]",
        ),
    ],
}
