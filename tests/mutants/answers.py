"""Mutants that answer otherwise than the specification says, or tell what is nobody's business."""

from tests.mutants.mutant import SCHEMATHESIS, Mutant

KINDS = {
    "wrong status": [
        Mutant(  # posts
            "a new post is a 200",
            "service/handlers/posts.py",
            "return post, 201,",
            "return post, 200,",
            "tests/posts/test_posts.py::test_a_new_post_can_be_read_at_its_location",
        ),
        Mutant(
            "a missing If-Match is a 400",
            "service/engine/http/conditional.py",
            "import InvalidRequest, PreconditionRequired",
            "import BadRequest as PreconditionRequired, InvalidRequest",
            SCHEMATHESIS,
            only="PATCH and posts and user",
        ),
    ],
    "extra field": [
        Mutant(
            "a public profile shows the address",
            "service/models/profiles.py",
            "_public = sa.select(User.id, User.username,",
            "_public = sa.select(User.id, User.email, User.username,",
            "tests/accounts/test_users.py::test_a_profile_shows_only_public_fields",
        ),
        Mutant(
            "a page shows the text of a problem as HTML",
            "service/engine/spec/problem_pages.py",
            "autoescape=True,",
            "autoescape=False,",
            "tests/engine/test_problem_pages.py"
            "::test_what_a_problem_says_is_text_with_links_to_operations",
        ),
        Mutant(
            "a problem names the class that was raised",
            "service/engine/problems.py",
            '            "request_id": request_id,\n',
            '            "request_id": request_id,\n            "class": type(self).__name__,\n',
            "tests/runtime/test_answers.py::test_a_problem_has_no_field_that_is_not_documented",
        ),
    ],
    "untrue example": [
        Mutant(
            "an operation for one role does not show that others are refused",
            "service/engine/spec/refusals.py",
            'if "x-required-role" in operation:',
            'if "x-role" in operation:',
            "tests/spec/test_shown_problems.py"
            "::test_an_answer_shows_the_codes_that_its_operation_can_give[list_accounts-403-codes9]",
        ),
        Mutant(
            "an answer does not say what was not found",
            "service/engine/spec/app.py",
            "            operation.explain(problem)\n            raise",
            "            raise",
            "tests/spec/test_shown_problems.py::test_what_is_not_found_is_what_the_path_names",
        ),
    ],
    "missing header": [
        Mutant(  # posts
            "a new post has no Location",
            "service/handlers/posts.py",
            """return post, 201, {"Location": f"/api/posts/{post['id']}"}""",
            "return post, 201",
            "tests/posts/test_posts.py::test_a_new_post_can_be_read_at_its_location",
        ),
        Mutant(
            "a 401 has no WWW-Authenticate",
            "service/engine/http/problems.py",
            "isinstance(problem, problems.Unauthorized | problems.ScopeMissing)",
            "False",
            SCHEMATHESIS,
            only="/auth/login][user",
        ),
        Mutant(
            "a 429 has no Retry-After",
            "service/engine/problems.py",
            'in {seconds}.", headers={"Retry-After": str(retry_after)})',
            'in {seconds}.")',
            "tests/web/test_limits.py::test_a_refused_request_does_nothing",
        ),
        Mutant(
            "an answer may have fields that are not documented",
            "service/engine/spec/schemas.py",
            'out["additionalProperties"] = False',
            "pass",
            "tests/runtime/test_answers.py::test_an_answer_has_no_field_that_is_not_documented",
        ),
        Mutant(
            "caches may keep what only some may read",
            "service/engine/spec/caching.py",
            'operation._operation.get("x-cache", usual)',
            "usual",
            "tests/web/test_telemetry.py"
            "::test_personal_answers_are_not_cached_and_public_ones_are_revalidated",
        ),
    ],
    "input taken as it comes": [
        Mutant(
            "a body may have fields that nobody knows",
            "openapi/openapi.yaml",
            """\
    Credentials:
      type: object
      description: What signs in to an account with a password.
      additionalProperties: false
""",
            """\
    Credentials:
      type: object
      description: What signs in to an account with a password.
""",
            "tests/spec/test_contract.py::test_a_body_is_closed_and_an_answer_is_open",
        ),
        Mutant(  # posts
            "a query may have parameters that nobody knows",
            "service/engine/spec/validation.py",
            """\
                detail = "is not a parameter of this operation"
                errors""",
            """\
                detail = "is not a parameter of this operation"
                []""",
            "tests/posts/test_posts.py::test_a_contradictory_filter_is_refused",
        ),
        Mutant(
            "a user name may have capitals",
            "openapi/openapi.yaml",
            """\
      maxLength: 30
      pattern: '^[a-z0-9][a-z0-9_-]{2,29}$'
""",
            """\
      maxLength: 30
      pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{2,29}$'
""",
            "tests/accounts/test_auth.py::test_a_malformed_username_is_refused",
        ),
        Mutant(
            "an address in capitals is another one",
            "service/domain/addresses.py",
            'unicodedata.normalize("NFKC", local).lower()',
            'unicodedata.normalize("NFKC", local)',
            "tests/accounts/test_addresses.py::test_two_spellings_are_one_account",
        ),
        Mutant(
            "a reset goes to the spelling that was asked for",
            "service/handlers/auth.py",
            "UserAddress.addressee(addresses.key(addresses.checked(email))) or (None, email)\n",
            "(user := UserAddress.addressee(addresses.key(addresses.checked(email)))) and (\n"
            "        user.id, email\n"
            "    ) or (None, email)\n",
            "tests/accounts/test_addresses.py"
            "::test_a_reset_asked_for_in_another_spelling_goes_to_the_address_of_the_account",
        ),
        Mutant(
            "an unproved address may be an administrator's",
            "service/models/users.py",
            'account["role"] == "admin" and not account["email_verified"]',
            'account["role"] == "admin" and False',
            "tests/accounts/test_proved_admins.py",
        ),
        Mutant(
            "an invitation's role goes along to another address",
            "service/models/users.py",
            'sa.case((User.email_key == bindparam("key"), User.invited_role))',
            "User.invited_role",
            "tests/accounts/test_invitations.py"
            "::test_confirming_another_address_does_not_accept_an_invitation_as_admin",
        ),
        Mutant(  # posts
            "a word of a search is an operator of the engine",
            "service/domain/search.py",
            """else f'"{text}"'""",
            "else text",
            "tests/posts/test_search.py::test_a_query_finds_the_same_on_every_database",
        ),
    ],
    "costs without an end": [
        Mutant(
            "every request waits for a slow store",
            "service/engine/limits/connection.py",
            "        if self.is_slow and not is_patient:\n            answer.set_result(Late())\n",
            "",
            "tests/web/test_limiter_questions.py"
            "::test_a_slow_store_delays_one_request_and_counts_all",
        ),
        Mutant(
            "a body that does not come is waited for without an end",
            "service/engine/spec/validation.py",
            "body.read_now if request.is_whole else body.read",
            "body.read_now",
            "tests/web/test_protocol.py::test_a_body_that_never_ends_closes_the_connection",
        ),
        Mutant(
            "a body may be as large as a post, whatever it is for",
            "service/engine/spec/validation.py",
            "min(MAX_BODY_BYTES, largest)",
            "MAX_BODY_BYTES",
            "tests/web/test_body_limits.py::test_a_larger_body_is_not_parsed",
        ),
        Mutant(
            "a page is as large as its items",
            "service/engine/spec/paging.py",
            "if size > MAX_PAGE_BYTES and number:",
            "if size > 100 * MAX_PAGE_BYTES and number:",
            "tests/engine/test_large_pages.py::test_following_the_links_visits_every_item",
        ),
        Mutant(  # posts
            "the index of a post has no end",
            "service/domain/words.py",
            "if size > MAX_INDEX_BYTES:",
            "if size > 100 * MAX_INDEX_BYTES:",
            "tests/posts/test_words.py::test_the_index_of_a_post_is_bounded",
        ),
    ],
    "secrets told": [
        Mutant(
            "a problem repeats the value that was sent",
            "service/engine/spec/schemas.py",
            '"code": code, "detail": _detail(kind)}',
            '"code": code, "detail": error.message}',
            "tests/engine/test_traps_in_addresses.py"
            "::test_a_query_is_read_as_the_specification_says[sqlite-no UUID]",
        ),
        Mutant(
            "signing in tells whose address is unknown",
            "service/accounts/security.py",
            "                raise InvalidCredentials\n",
            '                raise InvalidCredentials(None if user else "Nobody is here.")\n',
            "tests/accounts/test_auth.py::test_an_unknown_address_and_a_wrong_password_get_the_same_answer",
        ),
        Mutant(
            "an unknown address is refused sooner than a wrong password",
            "service/accounts/security.py",
            "if not passwords.matches(user.password_hash if user else None, password) or not user:",
            "if not user or not passwords.matches(user.password_hash, password):",
            "tests/accounts/test_auth.py"
            "::test_an_unknown_address_takes_as_much_hashing_as_a_wrong_password",
        ),
        Mutant(  # posts
            "a snippet is HTML as somebody wrote it",
            "service/domain/snippets.py",
            "marked.append(html.escape(excerpt[done:]))",
            "marked.append(excerpt[done:])",
            "tests/posts/test_search.py::test_a_snippet_is_escaped_and_marks_what_matched",
        ),
    ],
}
