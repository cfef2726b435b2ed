"""What is asked of a venue and what became of it, as values. No repr here shows a query, a header or a body."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "HttpRequest", "NotSent", "OutcomeUnknown", "Reply"]


@attrs.frozen(repr=False)
class HttpRequest:
    """One request, ready to go: the bytes that were signed are the bytes that are sent.

    Attributes:
        method: Such as `GET`.
        target: Path and query in ASCII, encoded; sent exactly like this.
        headers: Names and values besides `Host`, `Content-Length` and `Accept-Encoding`.
        body: Empty for none.

    Raises:
        DomainError: If the target does not begin with `/`, holds a space, a control character or one beyond ASCII, or a
            header holds a line break.
    """

    method: str
    target: bytes
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __attrs_post_init__(self) -> None:
        if not self.target.startswith(b"/") or any(byte <= 0x20 or byte >= 0x7F for byte in self.target):
            msg = f"request {self!r}: expected an encoded target in ASCII from '/', was something else"
            raise DomainError(msg, hint="encode the query with mmframe.net.signing.percent_encoded")
        if any(set(name + value) & {"\r", "\n", "\0"} for name, value in self.headers):
            msg = f"request {self!r}: expected headers without line breaks, was one with"
            raise DomainError(msg)

    @property
    def path(self) -> str:
        """Return the path without its query: what may be shown."""
        return self.target.partition(b"?")[0].decode("ascii", errors="backslashreplace")

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self.path}>"


@attrs.frozen(repr=False)
class Answer:
    """The server answered, whatever it said; what a status means is for the venue's adapter.

    Attributes:
        status: HTTP status code.
        headers: Values by lower-case name.
        body: Whole and as sent.
        receive_ns: When it was complete, nanoseconds UTC.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    receive_ns: int

    def __repr__(self) -> str:
        return f"<Answer {self.status}, {len(self.body)} bytes>"


@attrs.frozen(repr=False)
class Reply:
    """The frame that answers a request on a socket.

    Attributes:
        data: The frame.
        receive_ns: When it came, nanoseconds UTC.
    """

    data: bytes
    receive_ns: int

    def __repr__(self) -> str:
        return f"<Reply, {len(self.data)} bytes>"


@attrs.frozen
class NotSent:
    """No byte of the request left this process: it certainly did not happen.

    Attributes:
        reason: Why, without secrets.
        is_final: It will not leave next time either: the address is a forbidden one.
    """

    reason: str
    is_final: bool = False


@attrs.frozen
class OutcomeUnknown:
    """Bytes of the request may have left and no usable answer came: it may have happened. Ask; never send again.

    Attributes:
        reason: Why, without secrets.
        status: HTTP status when at least that was seen, else None.
        is_unreadable: An answer came that this side will not read: too long, or compressed.
    """

    reason: str
    status: int | None = None
    is_unreadable: bool = False
