"""Mutants that believe a cookie too easily, or lose hold of it."""

from tests.mutants.mutant import Mutant

ATTACKS = "tests/attacks/test_cookies.py"

KINDS = {
    "cookies that anybody may send": [
        Mutant(
            "a cookie is believed whichever page sent it",
            "service/engine/tokens/authority.py",
            "            self.check_origin(request)\n            return replace(",
            "            return replace(",
            f"{ATTACKS}::test_a_cookie_alone_is_not_believed",
        ),
        Mutant(
            "a page of the same site is as good as one of the same origin",
            "service/engine/tokens/authority.py",
            'request.headers.get(b"sec-fetch-site") == b"same-origin"',
            'request.headers.get(b"sec-fetch-site", b"").startswith(b"same-")',
            f"{ATTACKS}::test_a_cookie_alone_is_not_believed",
        ),
        Mutant(
            "a request that names no origin is believed",
            "service/engine/tokens/authority.py",
            'if origin is None or origin == "*" or origin not in',
            "if origin is not None and origin not in",
            f"{ATTACKS}::test_a_cookie_alone_is_not_believed",
        ),
        Mutant(
            "where all origins may call, all may use cookies",
            "service/engine/tokens/authority.py",
            'origin == "*" or origin not in self._settings.cors_origins',
            '{origin, "*"}.isdisjoint(self._settings.cors_origins)',
            "tests/web/test_cors.py::test_where_any_origin_may_call_none_may_use_cookies",
        ),
        Mutant(
            "another page signs its visitors in to an account of its own",
            "service/accounts/transport.py",
            "    if transport == COOKIE:\n        authority().check_origin(",
            "    if False:\n        authority().check_origin(",
            f"{ATTACKS}::test_a_page_that_could_not_use_the_cookie_is_not_given_one",
        ),
        Mutant(
            "browsers let pages of every origin send cookies",
            "service/engine/http/cors.py",
            'if allowed and allowed != [b"*"]:',
            "if allowed:",
            "tests/web/test_cors.py::test_where_any_origin_may_call_none_may_use_cookies",
        ),
        Mutant(
            "cookies are allowed at every address",
            "service/engine/http/cors.py",
            'if scope.get("path") in self._cookie_paths:',
            'if scope["type"] == "http":',
            "tests/web/test_cors.py::test_cookies_are_allowed_where_they_are_set_and_nowhere_else",
        ),
    ],
    "cookies that are somebody else's": [
        Mutant(
            "every operation looks at the cookie",
            "service/engine/spec/demands.py",
            "return tuple(types), cookie\n",
            'return tuple(types), cookie or Cookie("__Host-refresh", "rt+jwt")\n',
            f"{ATTACKS}::test_no_other_operation_looks_at_a_cookie",
        ),
        Mutant(
            "a cookie is read beside an Authorization header",
            "service/engine/tokens/authority.py",
            'if cookie and b"authorization" not in request.headers and (token',
            "if cookie and (token",
            f"{ATTACKS}::test_an_authorization_header_is_the_only_credential_where_there_is_one",
        ),
        Mutant(
            "of two cookies the first is taken",
            "service/engine/tokens/cookies.py",
            "        if len(found) > 1:\n",
            "        if not found:\n",
            f"{ATTACKS}::test_one_spelling_of_the_cookie_is_read",
        ),
        Mutant(
            "white space before its name is forgiven",
            "service/engine/tokens/cookies.py",
            'pair.strip(" ").partition',
            "pair.strip().partition",
            f"{ATTACKS}::test_one_spelling_of_the_cookie_is_read",
        ),
        Mutant(
            "scripts can read the cookie",
            "service/engine/tokens/cookies.py",
            "Secure; HttpOnly; Same",
            "Secure; Same",
            "tests/accounts/test_cookies.py"
            "::test_a_sign_in_sets_the_cookie_and_keeps_the_token_out_of_the_body",
        ),
        Mutant(
            "a refresh by cookie tells its token to scripts",
            "service/handlers/auth.py",
            "delivered(pair, COOKIE if caller.by_cookie else None)",
            "delivered(pair, None)",
            "tests/accounts/test_cookies.py::test_refreshing_replaces_the_cookie",
        ),
        Mutant(
            "signing out leaves the cookie where it is",
            "service/handlers/auth.py",
            "cleared() if caller.by_cookie else {}",
            "{}",
            "tests/accounts/test_cookies.py"
            "::test_logging_out_ends_the_session_and_removes_the_cookie",
        ),
    ],
}
