"""Mutants of second factors: codes that work twice, tries that nobody counts."""

from tests.mutants.mutant import Mutant

SECOND = "tests/accounts/test_second_factors.py::"
RACES = "tests/races/test_races_of_factors.py::"

KINDS = {
    "second factors": [
        Mutant(
            "a code of an app that was used is taken for a right one",
            "service/accounts/factors.py",
            "    if step is None or step <= app.last_step:",
            "    if step is None:",
            "tests/web/test_factor_guard.py::test_a_used_code_counts_as_a_wrong_one",
        ),
        Mutant(
            "a code of an app is accepted twice",
            "service/models/totp_factors.py",
            'TotpFactor.last_step < bindparam("step"))',
            'TotpFactor.last_step <= bindparam("step"))',
            RACES + "test_the_code_of_a_step_is_used_once_and_none_of_an_earlier_step",
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
            "service/accounts/second_step.py",
            "with guard().second_factor(user_id):",
            'with guard().sign_in(user_id, ""):',
            "tests/web/test_factor_guard.py::test_a_right_password_does_not_clear_wrong_codes",
        ),
        Mutant(
            "a right password clears the wrong codes of a session",
            "service/accounts/guard.py",
            'self._key(f"codes of session {session_id}")',
            'self._key(f"session {session_id}")',
            SECOND + "test_a_right_password_does_not_clear_the_wrong_codes_of_a_session",
        ),
        Mutant(
            "whoever registers a foreign address keeps its second factors",
            "service/accounts/factors.py",
            "    if not UserAddress.was_ever_verified(user_id):",
            "    if False:",
            "tests/accounts/test_unproved_factors.py",
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
            "an undone change of address leaves the thief's app",
            "service/accounts/factors.py",
            "    if TotpFactor.remove_since(user_id, since):",
            "    if False:",
            "tests/accounts/test_auth_undone_changes.py"
            "::test_undoing_removes_an_app_that_a_thief_may_have_added[sqlite-0-False]",
        ),
        Mutant(
            "an administrator takes away the link that stops a reset",
            "service/models/mails.py",
            "UNREVOKED = {FACTOR_RESET}",
            "UNREVOKED = set[str]()",
            "tests/accounts/test_factor_resets.py"
            "::test_no_admin_can_take_the_owners_link_away[sqlite-change0]",
        ),
        Mutant(
            "what a former administrator asked for still removes factors",
            "service/accounts/factor_resets.py",
            "    if not Credentials.is_active_admin(admin_id):",
            "    if False:",
            "tests/accounts/test_factor_resets.py"
            "::test_a_reset_that_a_former_admin_asked_for_does_not_happen[sqlite-change0]",
        ),
    ],
}
