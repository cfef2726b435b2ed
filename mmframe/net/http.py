"""One way to ask a venue over HTTP: bounded in time, size and number, never repeated, and no secret in what it says.

The outcome of a request is a value, not an exception, because there are three and each is handled differently: the
server answered, the request certainly never left, or nobody knows.
"""

from __future__ import annotations

from functools import cache, partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import anyio
import attrs
import httpx

from mmframe.errors import DomainError
from mmframe.net.redact import described, origin, quiet_wire_loggers, require_proxy_url, require_safe_url
from mmframe.net.request import Answer, HttpRequest, NotSent, OutcomeUnknown

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from mmframe.net.address import AddressGuard
    from mmframe.net.timing import Timing

__all__ = ["HttpLimits", "HttpSession"]

_USER_AGENT = "mmframe"
_PORTS = {"http": 80, "https": 443}


@attrs.frozen
class HttpLimits:
    """Bounds of a session.

    Attributes:
        concurrent_max: Requests under way at once, and connections, >= 1.
        waiting_max: Requests that may wait for one of them to end; one more is `NotSent`.
        connect_s: Time to connect, the encryption's handshake included.
        read_s: Time without a byte in or out.
        total_s: Time for the whole request, waiting included; a server that drips bytes never meets `read_s`.
        body_bytes_max: Longest body of an answer.
        keep_idle_s: Time for which an idle connection is kept. Shorter than the server's own is better: a request sent
            as the server hangs up has an unknown outcome.

    Raises:
        DomainError: If a bound is not positive.
    """

    concurrent_max: int = 10
    waiting_max: int = 100
    connect_s: float = 5.0
    read_s: float = 10.0
    total_s: float = 10.0
    body_bytes_max: int = 16 * 1024 * 1024
    keep_idle_s: float = 30.0

    def __attrs_post_init__(self) -> None:
        if self.waiting_max < 0 or any(
            not bound > 0 for name, bound in attrs.asdict(self).items() if name != "waiting_max"
        ):
            msg = f"HTTP limits: expected positive bounds, was {self!r}"
            raise DomainError(msg)


@attrs.define
class _Progress:
    """How far a request came: what tells "never left" from "nobody knows".

    Attributes:
        has_begun: Whether a byte of it may have left.
        status: Status of the answer once it is known.
    """

    has_begun: bool = False
    status: int | None = None


class HttpSession:
    """Connections to one server. An asynchronous context manager: leaving it closes them.

    Environment variables, redirects, cookies, compression and retries are off: each would make a request go elsewhere,
    grow or happen twice without anybody having said so. Requests of a cancelled task may have been executed, as with
    `OutcomeUnknown`.

    Args:
        url: Scheme, host and port, such as `https://api.example.com`; plain `http` for loopback addresses alone.
        timing: Clock, and the sleep of the total deadline.
        limits: Bounds.
        proxy: Address of an HTTP proxy, or None for none.
        ssl_context: Whom to trust; by default the certificates that ship with the HTTP library.
        guard: Resolves and judges the host before each request, for hosts that a person may choose freely. The request
            goes to an address that was judged, certificate and `Host` are the name's. None leaves it to the library.

    Raises:
        DomainError: If the address is unsafe or holds more than scheme, host and port, the proxy's is none, or there
            are a guard and a proxy, which resolves names by itself.
    """

    def __init__(  # noqa: PLR0913 - what differs between servers, each thing by its name
        self,
        url: str,
        *,
        timing: Timing,
        limits: HttpLimits | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        guard: AddressGuard | None = None,
    ) -> None:
        require_safe_url(url, scheme="http")
        self.origin = origin(url)
        """Scheme, host and port: what may be shown."""
        if url.rstrip("/").lower() != self.origin:
            msg = f"address {self.origin}: expected scheme, host and port alone, was one with a path or more"
            raise DomainError(msg, hint="the path belongs into the target of each request")
        if proxy is not None:
            require_proxy_url(proxy)
            if guard is not None:
                msg = f"address {self.origin}: expected no proxy where addresses are judged, was one"
                raise DomainError(msg)
        quiet_wire_loggers()
        self._timing = timing
        self._guard = guard
        self._limits = limits or HttpLimits()
        # A waiter that is cancelled inside the library's pool can take a place in it along; so nobody ever waits there.
        self._places = anyio.Semaphore(self._limits.concurrent_max)
        self._under_way = 0
        self._client = _client(self._limits, proxy, ssl_context)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<HttpSession {self.origin}>"

    @property
    def under_way(self) -> int:
        """Return how many requests are waiting or under way."""
        return self._under_way

    async def aclose(self) -> None:
        """Close all connections, also when cancelled."""
        with anyio.CancelScope(shield=True):
            await self._client.aclose()

    async def send(
        self, request: HttpRequest, *, total_s: float | None = None, body_bytes_max: int | None = None
    ) -> Answer | NotSent | OutcomeUnknown:
        """Send one request once and return what became of it.

        Args:
            request: Sent byte for byte as it is.
            total_s: Time for all of it, instead of the session's.
            body_bytes_max: Longest body, instead of the session's.
        """
        if self._under_way >= self._limits.concurrent_max + self._limits.waiting_max:
            return NotSent(f"{self._under_way} requests wait or are under way already")
        total_s = self._limits.total_s if total_s is None else total_s
        bound = self._limits.body_bytes_max if body_bytes_max is None else body_bytes_max
        progress = _Progress()
        self._under_way += 1
        try:
            return await self._timing.within(total_s, partial(self._send, request, progress, bound))
        except TimeoutError:
            return _failed(f"no answer within {total_s:g} s", progress)
        finally:
            self._under_way -= 1

    async def _send(
        self, request: HttpRequest, progress: _Progress, body_bytes_max: int
    ) -> Answer | NotSent | OutcomeUnknown:
        async with self._places:
            if self._guard is None:
                return await self._attempt(self._prepared(request, progress), progress, body_bytes_max)
            try:
                targets = await self._judged(self._guard)
            except DomainError as error:
                return NotSent(error.message, is_final=True)
            except OSError as error:
                return NotSent(described(error))
            outcome: Answer | NotSent | OutcomeUnknown = NotSent("no address")
            for target in targets:
                outcome = await self._attempt(self._prepared(request, progress, target), progress, body_bytes_max)
                # Only a request that certainly never left may go to the host's next address.
                if not isinstance(outcome, NotSent):
                    break
            return outcome

    async def _judged(self, guard: AddressGuard) -> list[str]:
        """Return the origin by each address that the host may be reached at."""
        parts = urlsplit(self.origin)
        port = parts.port or _PORTS[parts.scheme]
        addresses = await guard.addresses(parts.hostname or "", port)
        hosts = (f"[{address}]" if ":" in address else address for address in addresses)
        return [f"{parts.scheme}://{host}:{port}" for host in hosts]

    async def _attempt(
        self, prepared: httpx.Request, progress: _Progress, body_bytes_max: int
    ) -> Answer | NotSent | OutcomeUnknown:
        try:
            return await self._exchange(prepared, progress, body_bytes_max)
        # The text and the chain of these errors may quote addresses and headers: only their kind goes on.
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            return _failed(described(error), progress)

    async def _exchange(
        self, prepared: httpx.Request, progress: _Progress, body_bytes_max: int
    ) -> Answer | OutcomeUnknown:
        response = await self._client.send(prepared, stream=True)
        try:
            progress.status = response.status_code
            body = bytearray()
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > body_bytes_max:
                    reason = f"the answer is longer than {body_bytes_max} bytes"
                    return OutcomeUnknown(reason, response.status_code, is_unreadable=True)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            reason = "the answer is compressed although that was declined"
            return OutcomeUnknown(reason, response.status_code, is_unreadable=True)
        return Answer(response.status_code, dict(response.headers), bytes(body), self._timing.now_ns())

    def _prepared(self, request: HttpRequest, progress: _Progress, target: str | None = None) -> httpx.Request:
        async def trace(event: str, info: dict[str, Any]) -> None:
            # A proxy's CONNECT comes first and carries nothing of the request.
            if event == "http11.send_request_headers.started" and info["request"].method != b"CONNECT":
                progress.has_begun = True

        extensions: dict[str, Any] = {"trace": trace}
        if target is not None:
            extensions["sni_hostname"] = urlsplit(self.origin).hostname
        prepared = self._client.build_request(
            request.method,
            self.origin,
            headers=request.headers,
            content=request.body or None,
            extensions=extensions,
        )
        # Not by the library's "target" extension: it would replace the target of a proxy's CONNECT too, and so show the
        # signed query to the proxy in the clear.
        prepared.url = _ExactUrl(target or self.origin, request.target)
        return prepared


class _ExactUrl(httpx.URL):
    """Where to connect, as far as the library and its messages see, with the exact bytes to send as target."""

    def __init__(self, url: str, target: bytes) -> None:
        super().__init__(url)
        self._target = target

    @property
    def raw_path(self) -> bytes:
        """Return path and query as they are to be sent."""
        return self._target


@cache
def _usual_ssl_context() -> ssl.SSLContext:
    # Shared by all sessions: to read the certificates takes tens of milliseconds, in which nothing else runs.
    return httpx.create_ssl_context(trust_env=False)


def _client(limits: HttpLimits, proxy: str | None, ssl_context: ssl.SSLContext | None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        verify=ssl_context if ssl_context is not None else _usual_ssl_context(),
        proxy=proxy,
        trust_env=False,
        follow_redirects=False,
        http2=False,
        timeout=httpx.Timeout(limits.read_s, connect=limits.connect_s),
        limits=httpx.Limits(
            max_connections=limits.concurrent_max,
            max_keepalive_connections=limits.concurrent_max,
            keepalive_expiry=limits.keep_idle_s,
        ),
        headers={"Accept-Encoding": "identity", "User-Agent": _USER_AGENT},
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
    )


def _failed(reason: str, progress: _Progress) -> NotSent | OutcomeUnknown:
    return OutcomeUnknown(reason, progress.status) if progress.has_begun else NotSent(reason)
