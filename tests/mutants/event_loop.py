"""Mutants of what runs on the event loop, and of the statements that it sends."""

from tests.mutants.mutant import Mutant

KINDS = {
    "event loop": [
        Mutant(
            "a client that goes while its request waits for its turn costs a place",
            "service/engine/work/greenlets.py",
            "                self._pass_on()\n            raise\n",
            "                pass\n            raise\n",
            "tests/runtime/test_greenlets.py"
            "::test_a_client_that_goes_while_its_job_waits_for_a_place_costs_none",
        ),
        Mutant(
            "a job leaves its place when its client goes, and not when it ends",
            "service/engine/work/greenlets.py",
            "                return await future\n",
            "                try:\n"
            "                    return await future\n"
            "                except asyncio.CancelledError:\n"
            "                    self._pass_on()\n"
            "                    raise\n",
            "tests/runtime/test_greenlets.py"
            "::test_a_job_whose_client_has_gone_runs_to_its_end_and_then_leaves_its_place",
        ),
        Mutant(
            "a job that waits again for a socket that was reset is told nothing more",
            "service/engine/work/sockets.py",
            "if self._has_ended or (is_late and events):",
            "if is_late and events:",
            "tests/runtime/test_sockets.py"
            "::test_a_job_gets_what_came_before_a_reset_and_then_the_reset",
            only="uvloop",
        ),
        Mutant(
            "a job tells the event loop itself which sockets to watch",
            "service/engine/work/greenlets.py",
            "        worker.pause(function)\n",
            "        function()\n",
            "tests/runtime/test_sockets.py::test_the_loop_itself_is_told_which_sockets_to_watch",
        ),
        Mutant(
            "a wait ends late although its answer has come",
            "service/engine/work/sockets.py",
            "if self._has_ended or (is_late and events):",
            "if self._has_ended:",
            "tests/runtime/test_sockets.py::test_a_wait_is_not_late_if_only_the_loop_is",
            only="uvloop",
        ),
        Mutant(
            "a thread takes a connection off the event loop",
            "service/engine/database/connections.py",
            "        pooled.dbapi_connection.socket.close()\n",
            "",
            "tests/database/test_postgresql.py"
            "::test_only_the_event_loop_takes_a_connection_off_the_event_loop",
            only="only_the_event_loop",  # "postgresql" is in the name of the file
        ),
        Mutant(
            "a statement that locks runs outside of the transaction",
            "service/engine/database/statements.py",
            "    return locks or isinstance(",
            "    return not locks and isinstance(",
            "tests/database/test_libpq.py"
            "::test_only_a_statement_that_changes_or_locks_something_begins_a_transaction",
        ),
        Mutant(
            "a read that has waited long for a migration is not made again",
            "service/engine/database/errors.py",
            "state in {READ_ONLY, NOT_SUPPORTED}",
            "state == READ_ONLY",
            "tests/database/test_postgresql.py"
            "::test_a_read_that_has_waited_for_a_migration_is_made_again",
            only="waited_for_a_migration",  # "postgresql" is in the name of the file
        ),
        Mutant(
            "a NUL ends a text early",
            "service/engine/database/libpq.py",
            'if b"\\0" in data:',
            'if b"\\0\\0" in data:',
            "tests/database/test_libpq.py::test_a_nul_is_refused_and_ends_no_text_early",
        ),
        Mutant(
            "what fails at the commit counts as committed",
            "service/engine/database/libpq.py",
            "if error := self._error(statement, answers[-1]):",
            "if error := self._error(statement, answers[0]):",
            "tests/database/test_libpq.py::test_nothing_is_written_if_one_of_them_fails",
        ),
        Mutant(
            "glibc raises the size from which on a block is mapped by itself",
            "service/engine/serve/heap.py",
            "        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)\n",
            "        pass\n",
            "tests/runtime/test_heap.py"
            "::test_a_large_block_is_mapped_by_itself_after_the_first_one_was_freed_too",
        ),
        Mutant(
            "Connexion imports its HTTP clients",
            "service/engine/spec/connexion_parts.py",
            ', "httpx": [], "requests": []',
            "",
            "tests/runtime/test_imports.py"
            "::test_a_server_imports_no_library_for_what_it_never_does[memory://]",
        ),
        Mutant(
            "a request is told that its own lost try is in flight",
            "service/engine/work/retrying.py",
            "                if lost is None:\n",
            "                if True:\n",
            "tests/database/test_postgresql.py::test_a_request_whose_lost_connection_is_still_open"
            "_at_the_database_is_a_503_and_not_in_flight",
            only="not_in_flight",  # "postgresql" is in the name of the file
        ),
    ]
}
