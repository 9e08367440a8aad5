"""Mutants that lose, skip, repeat or overwrite something."""

from tests.mutants.mutant import Mutant

KINDS = {
    "DELETE that does nothing": [
        Mutant(  # posts
            "a deletion is acknowledged and not made",
            "service/engine/database/owned.py",
            "statement = sa.delete(self._model).where(self._mine)",
            "statement = sa.update(self._model).where(self._mine)"
            ".values(version=self._model.version)",
            "tests/posts/test_posts.py::test_a_second_delete_of_a_post_is_a_404",
        ),
        Mutant(
            "a session that is ended loses its refresh token only",
            "service/models/sessions.py",
            "_end = Prepared(sa.delete(Session).where(_mine))",
            "_end = Prepared(\n"
            "    sa.update(Session).where(_mine).values(generation=Session.generation + 2)\n"
            ")",
            "tests/accounts/test_auth_sessions.py::test_one_session_is_ended_from_another",
        ),
        Mutant(
            "the posts of a deleted user stay",
            "service/engine/database/sqlite.py",
            '        "foreign_keys = ON",\n',
            "",
            "tests/accounts/test_users.py::test_a_deleted_user_is_gone_with_everything",
        ),
    ],
    "off-by-one paging": [
        Mutant(
            "a full last page has a link to an empty one",
            "service/engine/spec/paging.py",
            "if len(kept) < len(items) else stopped_at",
            "if len(kept) == limit or len(kept) < len(items) else stopped_at",
            "tests/engine/test_pagination.py::test_the_last_page_has_no_link",
        ),
        Mutant(
            "a link skips an item",
            "service/engine/spec/paging.py",
            'kept[-1]["id"] if',
            'items[-1]["id"] if',
            "tests/engine/test_pagination.py::test_the_next_page_is_after_the_last_item",
        ),
        Mutant(
            "a page begins with the last item of the one before",
            "service/engine/database/listing.py",
            "self._key < bound if newest",
            "self._key <= bound if newest",
            "tests/web/test_pagination.py::test_every_user_is_on_one_page",
        ),
        Mutant(  # posts
            "the oldest come first",
            "service/engine/database/listing.py",
            "self._key.desc() if newest else self._key.asc()",
            "self._key.asc() if newest else self._key.desc()",
            "tests/posts/test_posts.py::test_newest_is_first_unless_asked_otherwise",
        ),
        Mutant(
            "a page is as long as one likes",
            "openapi/openapi.yaml",
            """\
        minimum: 1
        maximum: 100
        default: 20
""",
            """\
        minimum: 1
        default: 20
""",
            "tests/web/test_pagination.py::test_an_impossible_page_is_refused",
        ),
    ],
    "stale ETag accepted": [
        Mutant(
            "a change of an old version overwrites the new one",
            "service/engine/database/owned.py",
            "statement = statement.where(self._unchanged)\n        columns",
            "pass\n        columns",
            "tests/engine/test_conditional.py::test_a_stale_write_is_refused",
        ),
        Mutant(
            "a deletion does not look at the version",
            "service/engine/database/owned.py",
            "statement = statement.where(self._unchanged)\n        return",
            "pass\n        return",
            "tests/engine/test_conditional.py::test_a_stale_write_is_refused",
        ),
        Mutant(  # posts
            "the tag of a post stays when its author is renamed",
            "service/models/posts.py",
            'f"{row.username}.{row.version}"',
            'f"1.{row.version}"',
            "tests/posts/test_post_versions.py::test_a_post_changes_with_the_name_of_its_author",
        ),
        Mutant(
            "a change need not say of which version it is",
            "service/engine/http/conditional.py",
            "        if required:\n            raise PreconditionRequired\n",
            "",
            "tests/engine/test_conditional.py::test_a_change_requires_if_match",
        ),
        Mutant(
            "what a client has already is sent again",
            "service/engine/http/conditional.py",
            "etag in {quoted(tag), quoted(_unencoded(tag))} for",
            "etag in {tag, _unencoded(tag)} for",
            "tests/engine/test_conditional.py"
            "::test_a_matching_if_none_match_is_a_304[sqlite-{tag}-project]",
        ),
    ],
    "retries that do it twice": [
        Mutant(
            "an Idempotency-Key is not looked at",
            "service/engine/spec/operation.py",
            "if retry and (kept := retry.kept()):",
            "if retry and (kept := None):",
            "tests/engine/test_idempotency.py"
            "::test_a_request_sent_again_is_answered_again_and_not_done_again",
        ),
        Mutant(
            "a key gets the answer of whoever used it first",
            "service/models/idempotency_keys.py",
            '    IdempotencyKey.user_id == bindparam("user_id"),\n',
            "",
            "tests/web/test_idempotency.py::test_a_key_belongs_to_one_user",
        ),
        Mutant(
            "a key stands for any body",
            "service/engine/spec/idempotency.py",
            "            raise IdempotencyKeyReused\n",
            "            pass\n",
            "tests/engine/test_idempotency.py::test_a_key_used_with_another_body_is_refused",
        ),
    ],
    "records with gaps": [
        Mutant(
            "a new password is not written down",
            "service/handlers/auth.py",
            '    record("password-changed", caller.id)\n',
            "",
            "tests/accounts/test_audit_actions.py"
            "::test_each_change_causes_one_event[sqlite-change_password]",
        ),
        Mutant(  # posts
            "an export has no posts in it",
            "service/models/posts.py",
            "partial(Post.listing, author_id=caller.id)",
            "partial(Post.listing, author_id=caller.session_id)",
            "tests/posts/test_exported_posts.py"
            "::test_an_export_has_the_posts_of_who_asks_and_no_others",
        ),
    ],
    "mails lost or halved": [
        Mutant(
            "a mail that the server did not take is forgotten",
            "service/mail/delivery.py",
            'outcome = "dropped" if too_old or _is_final(error) else "deferred"',
            'outcome = "dropped"',
            "tests/delivery/test_smtp_faults.py"
            "::test_an_error_at_any_smtp_step_keeps_the_mail_and_delays_no_other[connect-reset-0]",
        ),
        Mutant(
            "a mail that is begun when the disk is full stays",
            "service/mail/delivery.py",
            "            unfinished.unlink()",
            "            pass",
            "tests/delivery/test_full_disks.py"
            "::test_a_mail_that_did_not_fit_leaves_no_file_and_uses_no_space[4096]",
        ),
    ],
}
