"""Mutants that only show on a database of several machines."""

from tests.mutants.mutant import Mutant

KINDS = {
    "several machines": [
        Mutant(
            "the number of a shard hides the constraint",
            "service/engine/database/errors.py",
            ' or _columns_of(_OF_A_SHARD.sub("", name))',
            "",
            "tests/database/test_violated_constraints.py"
            "::test_what_is_taken_is_refused_where_only_the_message_names_the_constraint",
        ),
        Mutant(
            "a column is mistaken for one whose name begins with its own",
            "service/engine/database/errors.py",
            "if column in broken:",
            "if any(name.startswith(column) for name in broken):",
            "tests/database/test_violated_constraints.py"
            "::test_a_column_whose_name_is_part_of_another_s_is_not_mistaken_for_it",
        ),
        Mutant(
            "two processes count the same failure",
            "service/models/sign_in_guards.py",
            "        [row] = _lock.all(account=account, moment=moment)\n",
            """\
        its = SignInGuard.account == account
        read = sa.select(SignInGuard.history, SignInGuard.expires_at).where(its)
        row = Prepared(read).first()
        if row is None:
            return None
""",
            "tests/races/test_races.py::test_of_60_concurrent_guesses_10_are_compared"
            "_over_all_processes",
            only="postgresql",
        ),
        Mutant(
            "a table is moved with its foreign keys",
            "service/engine/database/citus.py",
            "ALTER TABLE {quoted(row.name)} DROP CONSTRAINT",
            "ALTER TABLE {quoted(row.name)} VALIDATE CONSTRAINT",
            "tests/clusters/test_distribution.py"
            "::test_each_table_goes_to_its_place_and_keeps_its_keys",
        ),
        Mutant(
            "half of the tables are moved when a machine is full",
            "service/engine/database/citus.py",
            "        connection.exec_driver_sql(statement)\n    connection.commit()\n",
            "        connection.exec_driver_sql(statement)\n        connection.commit()\n",
            "tests/clusters/test_distribution.py::test_all_is_as_it_was_when_a_step_fails",
        ),
        Mutant(
            "users are counted anew after many shards have changed at once",
            "service/maintenance.py",
            "connection().exec_driver_sql(SEQUENTIAL)",
            "connection()",
            "tests/clusters/test_tour.py::test_what_has_expired_is_removed",
        ),
        Mutant(
            "a user's events are looked up from each row of users",
            "service/models/users.py",
            '_its = AuditEvent.user_id == bindparam("id")',
            "_its = AuditEvent.user_id == User.id",
            "tests/clusters/test_statements.py::test_no_statement_asks_what_a_cluster_cannot_do",
        ),
    ],
}
