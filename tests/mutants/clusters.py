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
    ],
}
