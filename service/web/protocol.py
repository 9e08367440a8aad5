"""HTTP as uvicorn reads it, but for two things: what is no HTTP gets a problem document like every
other refusal, and what follows a body is no header."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import BadRequest
from service.web import problems
from service.web.call import new_request_id


class Protocol(HttpToolsProtocol):
    """For `uvicorn.Config(http=...)`."""

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        # uvicorn would add trailers to the request's headers; RFC 9110, section 6.5.1, forbids it.
        self.headers = []

    def send_400_response(self, msg: str) -> None:
        """Refuse bytes that are no HTTP/1.1, and the connection that they came on."""
        request_id = new_request_id()
        refusal = problems.answer(BadRequest(), request_id)
        headers = [
            *self.server_state.default_headers,
            *refusal.headers,
            (b"x-request-id", request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"connection", b"close"),
        ]
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%b: %b" % header for header in headers)]
        self.transport.write(b"\r\n".join([*lines, b"", refusal.body]))
        self.transport.close()
