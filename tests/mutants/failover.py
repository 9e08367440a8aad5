"""Mutants that write to a deposed primary, or read a standby that is behind."""

from tests.mutants.mutant import Mutant

FILE = "service/engine/database/hosts.py"
TESTS = "tests/database/test_several_hosts.py::"
REPLICA = "tests/replica/test_replica.py::"

KINDS = {
    "deposed primary": [
        Mutant(
            "a connection whose server takes no writes any more is kept",
            FILE,
            'return self._wanted in WRITABLE and getattr(error, "sqlstate", None) == READ_ONLY',
            "return False",
            f"{TESTS}test_no_write_fails_at_a_primary_that_has_become_read_only",
            only="direct",
        ),
        Mutant(
            "connections to the old primary are used on after another was found",
            FILE,
            "return self._wanted == ANY or place == self._home",
            "return True",
            f"{TESTS}test_a_name_with_several_addresses_is_asked_at_all_of_them",
            only="read-write",
        ),
        Mutant(
            "a deposed primary that answers late is taken for the new one",
            FILE,
            "is_overtaken = self._wanted != ANY and self._home not in (home, place)",
            "is_overtaken = False",
            f"{TESTS}test_a_primary_that_answers_after_another_was_found_is_not_used",
        ),
        Mutant(
            "a server that does not answer is asked first again",
            FILE,
            "return silent, not (is_home and self._wanted != ANY)",
            "return False, not (is_home and self._wanted != ANY)",
            f"{TESTS}test_silent_servers_cost_four_seconds_in_all_and_later_connections_nothing",
        ),
    ],
    "stale replica": [
        Mutant(
            "a replica is fresh when the process starts",
            "service/engine/work/replica.py",
            "self._fresh_at = -math.inf",
            "self._fresh_at = time.monotonic()",
            f"{REPLICA}test_a_server_that_starts_does_not_read_a_replica_that_is_behind",
        ),
        Mutant(
            "a replica is read however far it is behind",
            "service/engine/work/replica.py",
            "time.monotonic() - self._fresh_at < MAX_LAG_SECONDS",
            "True",
            f"{REPLICA}test_a_replica_too_far_behind_is_not_read_until_it_has_caught_up",
        ),
        Mutant(
            "what was written is forgotten when the store works again",
            "service/engine/limits/store.py",
            "                self._missed_at = time.monotonic()\n                self.is_failing",
            "                self.is_failing",
            f"{REPLICA}test_a_client_reads_what_it_wrote_while_the_store_was_down",
        ),
        Mutant(
            "what was written is forgotten while the store is being connected",
            "service/engine/limits/store.py",
            "            except NotAsked:\n                self._missed_at = time.monotonic()\n",
            "",
            f"{REPLICA}test_a_client_reads_what_it_wrote_while_the_store_was_being_connected",
        ),
        Mutant(
            "a user does not read what a program has written with a personal token",
            "service/engine/work/replica.py",
            "names |= {request.claims.holder, request.claims.subject}",
            "names |= {request.claims.holder}",
            f"{REPLICA}test_a_user_reads_what_a_program_has_written_with_a_personal_token",
        ),
    ],
}
