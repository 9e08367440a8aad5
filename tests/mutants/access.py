"""Mutants that let somebody in, or let them do what is not theirs to do."""

from tests.mutants.mutant import SCHEMATHESIS, Mutant

KINDS = {
    "names that people trust": [
        Mutant(
            "a user name is free as soon as it is given up",
            "service/models/users.py",
            "        RestingUsername.check(username, id_)\n",
            "",
            "tests/accounts/test_usernames.py"
            "::test_the_names_of_a_deleted_account_rest_without_a_trace_of_their_owner",
        ),
        Mutant(
            "a user name rests only for the user who gave it up",
            "service/models/resting_usernames.py",
            "RestingUsername.user_id != bindparam",
            "RestingUsername.user_id == bindparam",
            "tests/accounts/test_usernames.py::test_a_name_given_up_for_another_cannot_be_taken_by_others",
        ),
        Mutant(
            "an owner may take a reserved user name by a change",
            "service/handlers/users.py",
            "    if username != caller.username:",
            "    if username == caller.username:",
            "tests/accounts/test_usernames.py::test_a_reserved_name_is_refused[sqlite-admin]",
        ),
    ],
    "auth ignored": [
        Mutant(
            "a token is only looked at where one is sent",
            "service/engine/spec/operation.py",
            "if self._token_types:",
            'if self._token_types and request.header(b"authorization"):',
            SCHEMATHESIS,
            only="/auth/me][user",
        ),
        Mutant(
            "anybody may list the accounts",
            "openapi/openapi.yaml",
            """\
        For admins. Reading a page is an audit event, `accounts-listed`.
      security:
        - accessToken: []
        - personalToken: []
      x-scope: users:read
      x-rate-limit: client
      x-required-role: admin
""",
            """\
        For admins. Reading a page is an audit event, `accounts-listed`.
      security: []
      x-rate-limit: client
""",
            "tests/accounts/test_users_as_admin.py::test_accounts_are_listed_for_admins_only",
        ),
        Mutant(
            "the signature of a token is not verified",
            "service/engine/tokens/tokens.py",
            '"strict_aud": True,',
            '"verify_signature": False,',
            "tests/attacks/test_forged_tokens.py::test_a_signature_is_valid_for_its_own_token_only",
        ),
        Mutant(
            "a refresh token opens what an access token does",
            "service/engine/tokens/tokens.py",
            'or header["typ"] != typ:',
            "or typ == REFRESH != header['typ']:",
            "tests/accounts/test_accounts_access.py"
            "::test_a_token_of_the_other_class_is_refused[sqlite-get_me-refresh_token]",
        ),
        Mutant(
            "any user passes for an administrator",
            "service/engine/spec/demands.py",
            "caller is None or caller.role != self._role",
            "caller is None",
            "tests/accounts/test_users_as_admin.py::test_accounts_are_listed_for_admins_only",
        ),
    ],
    "sessions that outlast their end": [
        Mutant(
            "a new password leaves the other sessions alone",
            "service/handlers/auth.py",
            "    end_access(caller.id)\n",
            "",
            "tests/attacks/test_stolen_tokens.py::test_a_stolen_session_cannot_outlast_the_password",
        ),
        Mutant(
            "a new password is set by a session that has ended meanwhile",
            "service/handlers/auth.py",
            "        raise SessionRevoked  # while the passwords were hashed\n",
            "        pass\n",
            "tests/accounts/test_auth_passwords.py"
            "::test_a_session_that_ends_while_the_password_is_hashed_changes_nothing",
        ),
    ],
    "not one's own": [
        Mutant(  # posts
            "anybody changes what is anybody's",
            "service/engine/database/owned.py",
            '"as_admin": caller.is_admin',
            '"as_admin": True',
            "tests/posts/test_posts.py::test_only_the_author_and_admins_change_a_post",
        ),
        Mutant(  # posts
            "anybody deletes what is anybody's",
            "service/engine/database/owned.py",
            "sa.delete(self._model).where(self._mine)",
            'sa.delete(self._model).where(self._model.id == bindparam("of"))',
            "tests/posts/test_posts.py::test_only_the_author_and_admins_change_a_post",
        ),
        Mutant(
            "who knows the id of a session ends it",
            "service/models/sessions.py",
            """\
    Session.user_id == bindparam("user_id"),
)
_live""",
            """\
)
_live""",
            "tests/accounts/test_auth_sessions.py::test_the_session_of_another_user_is_a_404",
        ),
        Mutant(
            "the last administrator may go",
            "service/models/users.py",
            """\
            raise _refused(user_id, caller)
        if last_admin:
            raise LastAdmin
        if name_rests:""",
            """\
            raise _refused(user_id, caller)
        if name_rests:""",
            "tests/accounts/test_users_as_admin.py::test_the_last_active_admin_cannot_be_demoted_disabled_or_deleted",
        ),
        Mutant(
            "everybody sees everybody's audit events",
            "service/models/audit_events.py",
            "return _all if caller.is_admin else cls.of(caller.id)",
            "return _all",
            "tests/accounts/test_audit.py::test_a_user_sees_only_the_events_of_their_own_account",
        ),
    ],
    "sessions that live on": [
        Mutant(
            "a disabled user goes on",
            "service/handlers/users.py",
            "        end_access(user_id)\n",
            "        pass\n",
            "tests/accounts/test_users_as_admin.py::test_disabling_ends_the_sessions_for_good",
        ),
        Mutant(
            "a refresh token is good any number of times",
            "service/models/sessions.py",
            '.where(_mine, Session.generation == bindparam("generation_"))',
            ".where(_mine)",
            "tests/accounts/test_auth_refresh.py::test_an_older_refresh_token_is_treated_as_reused_at_once",
        ),
        Mutant(
            "a pair that has arrived leaves the token before it good",
            "service/domain/rotation.py",
            "if rotation.seen < rotation.generation:",
            "if rotation.seen <= rotation.generation:",
            "tests/accounts/test_auth_repeated_refreshes.py::test_a_refused_request_confirms_it_too",
        ),
        Mutant(
            "two tabs may be in two places",
            "service/domain/rotation.py",
            " and _is_same_place(rotation, place)",
            "",
            "tests/accounts/test_auth_repeated_refreshes.py"
            "::test_an_empty_user_agent_does_not_prove_that_two_clients_are_the_same",
        ),
        Mutant(
            "the refusal of a token used twice takes the end of its session back",
            "service/handlers/auth.py",
            "    commit()  # end the session although the answer is a refusal\n",
            "",
            "tests/accounts/test_auth_refresh.py::test_an_older_refresh_token_is_treated_as_reused_at_once",
        ),
    ],
    "limit not counted": [
        Mutant(
            "a request that reaches no operation does not count",
            "service/engine/http/front_door.py",
            "            await self._limits.settle(request)\n",
            "",
            "tests/web/test_limiter_questions.py"
            "::test_requests_that_reach_no_operation_count_for_their_client",
        ),
        Mutant(
            "signing in has no limit for an address",
            "openapi/openapi.yaml",
            "        `sign-in-blocked`, and a mail to a verified address.\n"
            "      security: []\n"
            "      x-rate-limit: {policy: login, limit: 10 per minute, per: ip, counts: failures}",
            "        `sign-in-blocked`.\n      security: []\n      x-rate-limit: client",
            "tests/web/test_limits.py::test_register_login_and_search_have_limits_per_client[login-_login]",
        ),
        Mutant(
            "the writes of all users at one address share a limit",
            "service/engine/limits/policies.py",
            'claims.holder if policy.per == "user" else request.claims.session_id,)',
            'claims.session_id if policy.per == "session" else request.ip,)',
            "tests/web/test_limits.py::test_the_writes_of_one_user_are_not_those_of_another",
        ),
        Mutant(
            "an IPv6 customer has a budget for each of its networks",
            "service/engine/limits/policies.py",
            "return network(ip), network(ip, SITE), network(ip, PROVIDER_BLOCK)",
            "return (network(ip),)",
            "tests/web/test_limits_of_networks.py"
            "::test_a_larger_network_may_do_a_few_times_as_much_as_a_client",
        ),
        Mutant(
            "a wrong password is taken back",
            "service/accounts/guard.py",
            "elif not isinstance(error, Problem) or error.status >= 500:",
            "else:",
            "tests/web/test_login_guard.py"
            "::test_after_ten_failures_even_the_correct_password_is_refused",
        ),
        Mutant(
            "the failures to sign in are never forgotten",
            "service/accounts/guard.py",
            "history.succeed(self._failure.network)",
            "None",
            "tests/web/test_login_guard.py::test_a_success_forgets_the_failures",
        ),
        Mutant(
            "guesses from many networks are not added up",
            "service/domain/guard.py",
            "waits.append((_wait(rules.strangers, strangers, attempt.at), True))",
            "del strangers",
            "tests/web/test_strangers.py"
            "::test_thirty_guesses_an_hour_from_many_networks_are_compared",
        ),
        Mutant(
            "strangers keep the owner out",
            "service/accounts/guard.py",
            "Failure(moment, own, not known)",
            "Failure(moment, own, True)",
            "tests/web/test_strangers.py"
            "::test_strangers_cannot_lock_the_owner_out_of_a_known_network",
        ),
        Mutant(
            "guesses in one session lock all others",
            "service/accounts/guard.py",
            'self._key(f"session {session_id}")',
            'self._key(f"user {user_id}")',
            "tests/web/test_login_guard.py"
            "::test_a_wrong_current_password_counts_for_its_session_alone",
        ),
        Mutant(
            "one network fills the queue for hashing",
            "service/engine/work/fair_threads.py",
            "if not is_local(origin) and self._jobs.waiting(origin) >= MAX_WAITING_PER_SITE:",
            "if False:",
            "tests/runtime/test_turns.py::test_two_requests_of_one_network_may_wait",
        ),
        Mutant(
            "hashing goes by order of arrival",
            "service/engine/work/fair_threads.py",
            "self._jobs.pop(weights.index(min(weights)))",
            "self._jobs.pop(0)",
            "tests/runtime/test_turns.py::test_networks_take_turns",
        ),
    ],
    "another's request": [
        Mutant(
            "a body behind the offer of an upgrade is the next request",
            "service/engine/serve/messages.py",
            """for header in self.headers if header[0] != b"upgrade"]""",
            """for header in self.headers if header[0] in {b"host", b"authorization"}]""",
            "tests/web/test_upgrades.py::test_each_of_two_clients_has_its_own_tokens",
        ),
        Mutant(
            "a body behind the offer of an upgrade is another parser's body only",
            "service/engine/serve/messages.py",
            """for header in self.headers if header[0] != b"upgrade"]""",
            """for header in self.headers if header[0][:1] not in b"utc"]""",
            "tests/web/test_http_streams.py::test_byline_and_h11_find_the_same_requests",
        ),
        Mutant(
            "a connection goes on behind a CONNECT",
            "service/engine/serve/messages.py",
            "            self.cycle.keep_alive = False",
            "            self.cycle.keep_alive = True",
            "tests/web/test_upgrades.py::test_bytes_after_a_connect_are_not_read_as_http",
        ),
    ],
}
