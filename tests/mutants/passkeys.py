"""Mutants that let a passkey in that is not its user's."""

from tests.mutants.mutant import Mutant

CEREMONIES = "service/accounts/passkeys.py"
LOGINS = "tests/accounts/test_passkey_logins.py"
FACTORS = "tests/accounts/test_passkey_factors.py"
RACES = "tests/races/test_races_of_passkeys.py"

KINDS = {
    "passkeys": [
        Mutant(
            "any page may ask for a passkey",
            CEREMONIES,
            "    return origins\n",
            "    return [data.origin]\n",
            f"{LOGINS}::test_a_wrong_passkey_does_not_sign_in",
            only="not postgresql and origin",
        ),
        Mutant(
            "a page inside another site's page may ask for a passkey",
            CEREMONIES,
            "    if data.cross_origin:\n",
            "    if data.cross_origin is None:\n",
            f"{LOGINS}::test_a_wrong_passkey_does_not_sign_in",
            only="not postgresql and page",
        ),
        Mutant(
            "a challenge of a sign-in is good until it expires",
            "service/handlers/passkeys.py",
            'Challenge.use(body["challenge"], PASSKEY_SIGN_IN)',
            'Challenge.attempt(body["challenge"], PASSKEY_SIGN_IN)',
            f"{LOGINS}::test_a_challenge_is_used_up_by_the_first_request_that_answers_it",
        ),
        Mutant(
            "a challenge adds passkeys until it expires",
            "service/handlers/passkeys.py",
            "Challenge.use(challenge, NEW_PASSKEY)",
            "Challenge.attempt(challenge, NEW_PASSKEY)",
            "tests/accounts/test_passkeys.py::test_a_challenge_adds_one_passkey",
        ),
        Mutant(
            "a challenge outlives a refused passkey",
            "service/handlers/passkeys.py",
            "        commit()  # the challenge",
            "        pass  # the challenge",
            "tests/accounts/test_passkeys.py::test_a_refused_passkey_uses_its_challenge_up",
        ),
        Mutant(
            "a passkey may have a key that is easily broken",
            CEREMONIES,
            "key.key_size < MIN_RSA_BITS",
            "key.key_size < 0",
            "tests/accounts/test_passkeys.py::test_a_short_rsa_key_is_not_added",
        ),
        Mutant(
            "a challenge is good for whoever answers it",
            "service/handlers/passkeys.py",
            "begun is None or begun.user_id != caller.id",
            "begun is None",
            "tests/accounts/test_passkeys.py::test_a_challenge_is_good_for_its_user_only",
        ),
        Mutant(
            "a stolen device signs in without its PIN",
            CEREMONIES,
            """\
            require_user_verification=True,
        )
        handle""",
            """\
            require_user_verification=False,
        )
        handle""",
            f"{LOGINS}::test_a_wrong_passkey_does_not_sign_in",
            only="not postgresql and verification",
        ),
        Mutant(
            "a passkey is added that does not verify its user",
            CEREMONIES,
            """\
            require_user_verification=True,
            supported""",
            """\
            require_user_verification=False,
            supported""",
            "tests/accounts/test_passkeys.py::test_a_wrong_passkey_is_not_added",
            only="not postgresql and verification",
        ),
        Mutant(
            "a counter may run backwards",
            "service/models/passkeys.py",
            "Passkey.sign_count < _counted",
            "Passkey.sign_count != _counted",
            f"{LOGINS}::test_a_counter_that_does_not_go_forward_is_refused_recorded_and_told",
        ),
        Mutant(
            "two copies of a passkey may sign in at once",
            "service/models/passkeys.py",
            "Passkey.sign_count < _counted",
            "Passkey.sign_count <= _counted",
            f"{RACES}::test_of_two_copies_of_a_passkey_that_sign_in_at_once_one_is_refused",
        ),
        Mutant(
            "a passkey signs in for the user whom its answer names",
            CEREMONIES,
            '    if handle not in (b"", UUID(passkey.user_id).bytes):',
            "    if handle is None:",
            f"{LOGINS}::test_a_damaged_answer_does_not_sign_in",
            only="not postgresql and handle",
        ),
        Mutant(
            "a thief's passkey survives the owner's return",
            "service/handlers/auth.py",
            "changed_at - BEFORE_A_THEFT_SHOWS",
            "changed_at + BEFORE_A_THEFT_SHOWS",
            "tests/accounts/test_auth_undone_changes.py"
            "::test_undoing_removes_the_passkeys_that_a_thief_may_have_added",
        ),
        Mutant(
            "anybody's passkey completes a sign-in",
            CEREMONIES,
            "    if passkey is None or passkey.user_id != user_id:\n",
            "    if passkey is None:\n",
            f"{FACTORS}::test_a_passkey_of_somebody_else_does_not_complete_a_sign_in",
        ),
        Mutant(
            "the password of an account with a passkey is enough",
            "service/accounts/factors.py",
            "    passkeys = [PASSKEY] if Passkey.count(user_id) else []\n",
            "    passkeys: list[str] = []\n",
            f"{FACTORS}::test_a_passkey_completes_a_sign_in_with_a_password",
        ),
        Mutant(
            "a passkey completes a sign-in with one challenge again and again",
            "service/accounts/second_step.py",
            "    if not Challenge.use(challenge, SECOND_FACTOR):\n",
            "    if not challenge:\n",
            f"{FACTORS}::test_one_challenge_answered_many_times_at_once_signs_in_once",
        ),
        Mutant(
            "a lost only passkey locks its owner out",
            "service/handlers/passkeys.py",
            "    codes = factors.first_recovery_codes(caller.id)\n",
            "    codes: list[str] = []\n",
            f"{FACTORS}::test_the_first_passkey_comes_with_recovery_codes_for_a_lost_device",
        ),
        Mutant(
            "the last way in can be removed",
            "service/handlers/passkeys.py",
            '    if not (account["has_password"] or Passkey.count(caller.id)):',
            '    if not (account["has_password"] or "email" in account):',
            "tests/accounts/test_passkeys.py::test_an_account_without_a_password_keeps_a_passkey",
        ),
        Mutant(
            "an administrator may rename and remove the passkeys of others",
            "service/models/passkeys.py",
            '    return caller._replace(role="user")',
            "    return caller",
            "tests/accounts/test_passkeys.py::test_nobody_else_reads_renames_or_removes_a_passkey",
        ),
    ],
}
