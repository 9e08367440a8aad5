"""The errors a client of any service may see; any layer may raise them."""

from __future__ import annotations

from typing import Any, ClassVar


class Problem(Exception):
    """A refusal that becomes an `application/problem+json` document (RFC 9457).

    The class gives `status`, `code` and `title`; an instance may add a `detail` (a sentence, never
    with a value of the request in it), response `headers` and `errors`, each
    `{"pointer", "code", "detail"}` with a JSON pointer into the body or a parameter's name.
    `members` are others that the document has with this `code` (RFC 9457, section 3.2).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
        members: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or f"{self.title}."
        self.headers = headers or {}
        self.errors = errors
        self.members = members or {}


class BadRequest(Problem):
    status, code, title = 400, "bad-request", "The request is not well-formed HTTP"


class HostNotAllowed(BadRequest):
    code, title = "host-not-allowed", "This server does not answer for that host"


class MalformedBody(BadRequest):
    code, title = "malformed-body", "The body is not valid JSON"


class InvalidRequest(BadRequest):
    code, title = "invalid-request", "The request does not fit the specification"


class Unauthorized(Problem):
    """A 401; `challenge` is the error code of RFC 6750, section 3.1, where there is one.

    `is_failure` says whether a limit that counts failures counts it.
    """

    status, code, title = 401, "authentication-required", "A bearer token is required"
    challenge: ClassVar[str | None] = None
    is_failure: ClassVar[bool] = True

    def www_authenticate(self, realm: str) -> str:
        """The header that says how to be let in (RFC 6750, section 3)."""
        error = f', error="{self.challenge}"' if self.challenge else ""
        return f'Bearer realm="{realm}"{error}'


class InvalidToken(Unauthorized):
    code, title, challenge = "invalid-token", "The token is not valid", "invalid_token"


class TokenExpired(InvalidToken):
    code, title = "token-expired", "The token has expired"


class AuthenticationTooOld(Unauthorized):
    """The user must prove again who they are; `max_age` is in seconds (RFC 9470)."""

    code, title = "authentication-too-old", "More recent authentication is required"
    challenge = "insufficient_user_authentication"

    def __init__(self, max_age: int) -> None:
        super().__init__(f"Prove again who you are: that must be at most {max_age} seconds ago.")
        self._max_age = max_age

    def www_authenticate(self, realm: str) -> str:
        """The header that says how recent the authentication must be (RFC 9470, section 3)."""
        error = f'{super().www_authenticate(realm)}, error_description="{self.title}"'
        return f"{error}, max_age={self._max_age}"


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "This is not yours to change"


class AdminRequired(Forbidden):
    code, title = "admin-required", "This operation is for administrators"


class OriginNotAllowed(Forbidden):
    code, title = "origin-not-allowed", "A cookie is not accepted from this page"


class ScopeMissing(Forbidden):
    """A 403 for a personal token; `scope` is the one that it lacks, None if no scope would do."""

    code, title = "scope-missing", "The personal token is not for this"

    def __init__(self, scope: str | None = None, detail: str | None = None) -> None:
        lacks = f"The token needs the scope {scope}." if scope else None
        super().__init__(detail or lacks or "This needs a session: sign in.")
        self.scope = scope

    def www_authenticate(self, realm: str) -> str:
        """The header that says which scope would do (RFC 6750, section 3.1)."""
        scope = f', scope="{self.scope}"' if self.scope else ""
        return f'Bearer realm="{realm}", error="insufficient_scope"{scope}'


class NotFound(Problem):
    status, code, title = 404, "not-found", "There is nothing here"


class MethodNotAllowed(Problem):
    status, code, title = 405, "method-not-allowed", "The method is not allowed here"


class IdempotencyKeyInUse(Problem):
    status, code, title = 409, "idempotency-key-in-use", "A request with this key is in flight"


class PreconditionFailed(Problem):
    status, code, title = 412, "precondition-failed", "The resource has changed since you read it"


class BodyTooLarge(Problem):
    status, code, title = 413, "body-too-large", "The body is too large"


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported-media-type", "The media type is not supported"


class IdempotencyKeyReused(Problem):
    status, code, title = 422, "idempotency-key-reused", "The key was used with another body"


class PreconditionRequired(Problem):
    status, code, title = 428, "precondition-required", "If-Match is required"


class RateLimited(Problem):
    """A 429; `retry_after` is in seconds."""

    status, code, title = 429, "rate-limited", "Too many requests"

    def __init__(self, retry_after: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after)})


class HeadersTooLarge(Problem):
    status, code, title = 431, "headers-too-large", "The headers are larger than 32 KiB"


class InternalError(Problem):
    title = "Something went wrong here, and it has been logged"


class Unavailable(Problem):
    """A 503; `is_slow` says that a statement was ended at its time limit, on a database that may be
    well."""

    status, code, title = 503, "unavailable", "The service is busy or not ready"

    def __init__(self, detail: str | None = None, *, is_slow: bool = False) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})
        self.is_slow = is_slow
