"""Mutants that make a sign-in count for more than it proves."""

from tests.mutants.mutant import Mutant

KINDS = {
    "freshness": [
        Mutant(
            "an old sign-in is as good as a new one",
            "service/engine/spec/operation.py",
            "            self._freshness.check(request.claims)\n",
            "            pass\n",
            "tests/accounts/test_fresh_authentication.py"
            "::test_nothing_is_done_for_an_older_sign_in",
        ),
        Mutant(
            "a role changes without a recent sign-in",
            "service/engine/spec/freshness.py",
            "if any(name in body for name in self.when):",
            "if all(name in body for name in self.when):",
            "tests/accounts/test_fresh_authentication.py"
            "::test_only_the_members_that_the_key_names_ask_for_it",
        ),
        Mutant(
            "a token that does not say when is fresh",
            "service/engine/spec/freshness.py",
            "if not said or time.time() - said.time > self.max_age:",
            "if said and time.time() - said.time > self.max_age:",
            "tests/engine/test_freshness.py"
            "::test_an_old_authentication_is_refused_and_nothing_is_done",
        ),
        Mutant(
            "a refused request uses up the limit of the operation",
            "service/engine/spec/operation.py",
            """\
        if self._freshness:  # before limits, which the repeated request will count against
            self._freshness.check(request.claims)
        await self._services.limits.count(request, self._policies)
""",
            """\
        await self._services.limits.count(request, self._policies)
        if self._freshness:
            self._freshness.check(request.claims)
""",
            "tests/engine/test_freshness.py"
            "::test_a_refusal_takes_nothing_of_the_limits_of_the_operation",
        ),
        Mutant(
            "a refresh makes a session fresh",
            "service/accounts/sign_in.py",
            "        caller.authenticated_at,\n",
            "        now(),\n",
            "tests/accounts/test_authentication_claims.py"
            "::test_a_refresh_keeps_the_time_and_the_methods_of_the_sign_in",
        ),
        Mutant(
            "a new password makes a session fresh",
            "service/handlers/auth.py",
            "    pair = new_session(caller.id, client, caller.authenticated_at, caller.methods)\n",
            "    return sign_in(get_me(caller), (PASSWORD,), client)\n",
            "tests/accounts/test_authentication_claims.py"
            "::test_a_new_password_makes_a_session_no_fresher_than_it_was",
        ),
        Mutant(
            "a stolen session stops its owner from signing in",
            "service/accounts/reauthentication.py",
            "guard().confirmation_by_code(caller.session_id, caller.id)",
            "guard().second_factor(caller.id)",
            "tests/accounts/test_second_factors.py::"
            "test_guesses_in_a_session_do_not_stop_a_sign_in",
        ),
        Mutant(
            "a wrong password makes a session fresh",
            "service/accounts/reauthentication.py",
            "    confirm(caller, password)\n",
            "",
            "tests/accounts/test_reauthentication.py::test_a_wrong_password_proves_nothing",
        ),
        Mutant(
            "what a session has proved before is forgotten",
            "service/accounts/reauthentication.py",
            "combined(caller.methods, PROOFS",
            "combined(PROOFS",
            "tests/accounts/test_reauthentication.py::test_what_was_proved_before_is_not_forgotten",
        ),
        Mutant(
            "a new proof invalidates the tokens of other tabs",
            "service/accounts/reauthentication.py",
            "token_pair(fresh, renewed.generation)",
            "token_pair(fresh, caller.generation)",
            "tests/accounts/test_reauthentication.py::test_the_tokens_of_other_tabs_stay_good",
        ),
    ],
    "new networks": [
        Mutant(
            "the first sign-in of all is told as one from a new network",
            "service/accounts/sign_in.py",
            ' and AuditEvent.has("login", user_id):',
            ":",
            "tests/accounts/test_new_networks.py"
            "::test_the_first_sign_in_of_a_verified_user_is_not_told",
        ),
        Mutant(
            "every sign-in is told as one from a new network",
            "service/models/sign_in_guards.py",
            "            return False\n",
            "            return True\n",
            "tests/accounts/test_new_networks.py::test_a_mail_says_when_from_where_and_with_what",
        ),
        Mutant(
            "a mail repeats what a program says of itself",
            "service/accounts/sign_in.py",
            "programs.described(client.user_agent)",
            "client.user_agent",
            "tests/accounts/test_new_networks.py::test_the_agent_is_named_in_our_own_words",
        ),
    ],
    "refreshes": [
        Mutant(
            "refreshes of several tabs use up the limit of the session",
            "service/handlers/auth.py",
            'limits().count_own("repeat")',
            'limits().count_own("refresh")',
            "tests/web/test_refresh_limits.py::test_forty_concurrent_refreshes_all_succeed",
        ),
        Mutant(
            "a refresh token can be repeated without end",
            "service/handlers/auth.py",
            '        limits().count_own("repeat")\n',
            "",
            "tests/web/test_refresh_limits.py"
            "::test_repetitions_have_a_limit_whose_refusal_ends_nothing",
        ),
    ],
}
