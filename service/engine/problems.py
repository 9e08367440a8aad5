"""The errors a client of any service may see; any layer may raise them."""

from __future__ import annotations

from typing import Any, ClassVar


class Problem(Exception):
    """A refusal that becomes an `application/problem+json` document (RFC 9457).

    The class gives `status`, `code`, `title` and `advice`; the last two are the `detail` of
    instances that have none of their own. An instance may add a `detail` (a sentence, never with a
    value of the request in it), response `headers` and `errors`, each
    `{"pointer", "code", "detail"}` with a JSON pointer into the body or a parameter's name.
    `members` are others that the document has with this `code` (RFC 9457, section 3.2).
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    advice: ClassVar[str] = ""

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        errors: list[dict[str, str]] | None = None,
        members: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail or self.title)
        self._detail = detail
        self.headers = headers or {}
        self.errors = errors
        self.members = members or {}

    @property
    def detail(self) -> str:
        return self._detail or f"{self.title}. {self.advice}".rstrip()

    def explain(self, detail: str) -> None:
        """Give the problem this detail unless it has one of its own."""
        self._detail = self._detail or detail

    def document(self, request_id: str) -> dict[str, Any]:
        """The problem document for the answer to a request."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:request:{request_id}",
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            document["errors"] = self.errors
        return document | self.members

    @classmethod
    def example(cls, operation: dict[str, Any]) -> Problem:
        """One that an operation could raise, which is as `refusals.readable` returns it."""
        return cls()


class BadRequest(Problem):
    status, code, title = 400, "bad-request", "The request is not well-formed HTTP"
    advice = "See RFC 9112."


class HostNotAllowed(BadRequest):
    code, title = "host-not-allowed", "This server does not answer for that host"
    advice = "The operator has to list it in TRUSTED_HOSTS."


class MalformedBody(BadRequest):
    code, title = "malformed-body", "The body is not valid JSON"

    @classmethod
    def example(cls, operation: dict[str, Any]) -> MalformedBody:
        return cls(f"{cls.title}: see line 1, column 1.")


class InvalidRequest(BadRequest):
    code, title = "invalid-request", "The request does not fit the specification"
    advice = "See errors for what to correct."

    @classmethod
    def example(cls, operation: dict[str, Any]) -> InvalidRequest:
        return cls(errors=[_an_error(operation)])


class Unauthorized(Problem):
    """A 401; `challenge` is the error code of RFC 6750, section 3.1, where there is one.

    `is_failure` says whether a limit that counts failures counts it.
    """

    status, code, title = 401, "authentication-required", "A bearer token is required"
    advice = "Send it in the header Authorization, after Bearer."
    challenge: ClassVar[str | None] = None
    is_failure: ClassVar[bool] = True

    def www_authenticate(self, realm: str) -> str:
        """The header that says how to be let in (RFC 6750, section 3)."""
        error = f', error="{self.challenge}"' if self.challenge else ""
        return f'Bearer realm="{realm}"{error}'


class InvalidToken(Unauthorized):
    code, title, challenge = "invalid-token", "The token is not valid", "invalid_token"
    advice = "It is malformed, or not of a kind that this operation accepts: sign in again."


class TokenExpired(InvalidToken):
    code, title = "token-expired", "The token has expired"
    advice = "Refresh it or sign in again."


class AuthenticationTooOld(Unauthorized):
    """The user must prove again who they are; `max_age` is in seconds (RFC 9470)."""

    code, title = "authentication-too-old", "More recent authentication is required"
    challenge = "insufficient_user_authentication"

    def __init__(self, max_age: int) -> None:
        super().__init__(f"Prove again who you are: that must be at most {max_age} seconds ago.")
        self._max_age = max_age

    @classmethod
    def example(cls, operation: dict[str, Any]) -> AuthenticationTooOld:
        declared = operation["x-fresh-authentication"]
        return cls(declared["max-age"] if isinstance(declared, dict) else declared)

    def www_authenticate(self, realm: str) -> str:
        """The header that says how recent the authentication must be (RFC 9470, section 3)."""
        error = f'{super().www_authenticate(realm)}, error_description="{self.title}"'
        return f"{error}, max_age={self._max_age}"


class Forbidden(Problem):
    status, code, title = 403, "forbidden", "This is not yours to change"
    advice = "Only its owner or an administrator may do this."


class AdminRequired(Forbidden):
    code, title = "admin-required", "This operation is for administrators"
    advice = "You have another role."


class OriginNotAllowed(Forbidden):
    code, title = "origin-not-allowed", "A cookie is not accepted from this page"
    advice = (
        "It has to be of this origin, and send Sec-Fetch-Site: same-origin, or of an origin that"
        " CORS_ORIGINS names."
    )


class ScopeMissing(Forbidden):
    """A 403 for a personal token; `scope` is the one that it lacks, None if no scope would do."""

    code, title = "scope-missing", "The personal token is not for this"

    def __init__(self, scope: str | None = None, detail: str | None = None) -> None:
        lacks = f"The token needs the scope {scope}." if scope else None
        super().__init__(detail or lacks or "This needs a session: sign in.")
        self.scope = scope

    @classmethod
    def example(cls, operation: dict[str, Any]) -> ScopeMissing:
        return cls(operation.get("x-scope"))

    def www_authenticate(self, realm: str) -> str:
        """The header that says which scope would do (RFC 6750, section 3.1)."""
        scope = f', scope="{self.scope}"' if self.scope else ""
        return f'Bearer realm="{realm}", error="insufficient_scope"{scope}'


class NotFound(Problem):
    status, code, title = 404, "not-found", "There is nothing here"
    advice = "No operation has this path."


class MethodNotAllowed(Problem):
    status, code, title = 405, "method-not-allowed", "The method is not allowed here"
    advice = "The header Allow lists those that are."


class IdempotencyKeyInUse(Problem):
    status, code, title = 409, "idempotency-key-in-use", "A request with this key is in flight"
    advice = "Repeat this one once the other has been answered."


class PreconditionFailed(Problem):
    status, code, title = 412, "precondition-failed", "The resource has changed since you read it"
    advice = "Read it again, and send its new ETag in If-Match."


class BodyTooLarge(Problem):
    status, code, title = 413, "body-too-large", "The body is too large"
    advice = "It may have at most 1 MiB, and in most operations less."


class UnsupportedMediaType(Problem):
    status, code, title = 415, "unsupported-media-type", "The media type is not supported"
    advice = "Send application/json in UTF-8, without Content-Encoding."


class IdempotencyKeyReused(Problem):
    status, code, title = 422, "idempotency-key-reused", "The key was used with another body"
    advice = "Use a new one for each request."


class PreconditionRequired(Problem):
    status, code, title = 428, "precondition-required", "If-Match is required"
    advice = "Send the ETag of the version you mean to change."


class RateLimited(Problem):
    """A 429; `retry_after` is in seconds."""

    status, code, title = 429, "rate-limited", "Too many requests"

    def __init__(self, retry_after: int) -> None:
        seconds = "1 second" if retry_after == 1 else f"{retry_after} seconds"
        super().__init__(f"Try again in {seconds}.", headers={"Retry-After": str(retry_after)})

    @classmethod
    def example(cls, operation: dict[str, Any]) -> RateLimited:
        return cls(retry_after=42)


class HeadersTooLarge(Problem):
    status, code, title = 431, "headers-too-large", "The headers are larger than 32 KiB"
    advice = "Send fewer of them, or shorter ones; cookies count too."


class InternalError(Problem):
    title = "Something went wrong here, and it has been logged"
    advice = "The operator finds it by its request_id."


class Unavailable(Problem):
    """A 503; `is_slow` says that a statement was ended at its time limit, on a database that may be
    well."""

    status, code, title = 503, "unavailable", "The service is busy or not ready"
    advice = "Try again after the seconds in Retry-After."

    def __init__(self, detail: str | None = None, *, is_slow: bool = False) -> None:
        super().__init__(detail, headers={"Retry-After": "1"})
        self.is_slow = is_slow


def _an_error(operation: dict[str, Any]) -> dict[str, str]:
    """What would be wrong with a request that forgets something, or has a misspelt parameter."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    schema = content.get("schema", {})
    for name in schema.get("required", []):
        return {"pointer": f"/{name}", "code": "required", "detail": "is required"}
    if "minProperties" in schema:
        detail = "must have at least 1 entry"
        return {"pointer": "", "code": "min-properties", "detail": detail}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "query" and "maximum" in parameter["schema"]:
            detail = f"must be at most {parameter['schema']['maximum']}"
            return {"pointer": parameter["name"], "code": "maximum", "detail": detail}
    for parameter in operation.get("parameters", []):
        if parameter["in"] == "path" and parameter["schema"].get("format") == "uuid":
            return {"pointer": parameter["name"], "code": "format", "detail": "must be a uuid"}
    return {"pointer": "page", "code": "unknown", "detail": "is not a parameter of this operation"}
