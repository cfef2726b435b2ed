"""How a model behind an API is asked over HTTP: one question is one request, and each way to end has a status.

What a body says belongs to the provider that speaks the protocol. Here is what all of them share: one pool of
connections for a key, an overall deadline, bounds, waiting times, and the care that neither the key nor the question
comes back in a text that is shown.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import attrs
import msgspec

from mmframe.domain.advice import CompletionReply, ModelList, ReplyStatus, Usage
from mmframe.errors import DomainError
from mmframe.net.address import AddressGuard, Resolver, problem_of, resolve_by_system
from mmframe.net.budget import retry_after_ns
from mmframe.net.redact import origin, require_safe_url
from mmframe.net.request import Answer, HttpRequest, NotSent, OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from decimal import Decimal

    from mmframe.net.http import HttpSession
    from mmframe.net.timing import Timing
    from mmframe.plugin.options import Secret

__all__ = [
    "ModelAnswer",
    "ModelApi",
    "Resets",
    "encodable",
    "estimated_tokens",
    "require_model_url",
    "shown",
    "status_of",
    "token_count",
    "wait_ns",
]

_MODEL_LENGTH_MAX = 128
_REQUEST_ID_LENGTH_MAX = 128
_TOKENS_MAX = 1_000_000_000
"""A larger count in an answer is no count."""
_WAIT_MAX_S = 3 * 86_400
_BYTES_PER_TOKEN_MIN = 3
"""Of ordinary text in any language: dividing by it estimates tokens from above."""
_WAITING_MAX = 100
_CONNECT_S = 5.0
_READ_S = 3600.0
"""No bound of its own: a model that thinks sends nothing for minutes, and the total deadline holds anyway."""
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_KEY = re.compile(r"[!-~]{1,4096}")
_KEY_LENGTH_MIN = 8
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_DURATION = re.compile(
    r"(?:(?P<d>[0-9]{1,4})d)?(?:(?P<h>[0-9]{1,5})h)?(?:(?P<m>[0-9]{1,6})m(?!s))?"
    r"(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:(?P<ms>[0-9]{1,9}(?:\.[0-9]{1,9})?)ms)?"
)
_UNIT_S = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_MODELS_MAX = 10_000
_LIST_BYTES_MAX = 4 * 1024 * 1024
_FILE_BYTES_MAX = 512 * 1024 * 1024
_SUCCESS = range(200, 300)
_NO_LIST = frozenset({404, 405, 501})
_FORBIDDEN = frozenset({401, 403})
_TRANSIENT = frozenset({408, 409, 425})
_TOO_FAST = frozenset({429, 529})
_NO_MONEY = 402
_SERVER_ERROR = 500


class Resets(Enum):
    """How a provider's rate headers say when a limit is over."""

    NONE = "none"
    DURATIONS = "durations"
    """`x-ratelimit-reset-requests: 6m0s`."""
    INSTANTS = "instants"
    """`anthropic-ratelimit-requests-reset: 2026-01-01T00:00:00Z`."""


def status_of(http_status: int) -> ReplyStatus:
    """Return what an HTTP status means where the body does not say more."""
    if http_status in _SUCCESS:
        return ReplyStatus.OK
    if http_status == _NO_MONEY:
        return ReplyStatus.QUOTA
    if http_status in _TOO_FAST:
        return ReplyStatus.RATE_LIMITED
    if http_status in _TRANSIENT or http_status >= _SERVER_ERROR:
        return ReplyStatus.UNAVAILABLE
    return ReplyStatus.CONFIG


def wait_ns(headers: Mapping[str, str], now_ns: int, *, resets: Resets = Resets.NONE) -> int:
    """Return how long an answer asks to be left alone, in nanoseconds; 0 when it does not say, at most three days.

    `retry-after-ms` comes first, then `Retry-After` (seconds or a date), then the latest reset of the limits that have
    nothing remaining.

    Args:
        headers: By lower-case name.
        now_ns: When the answer came, nanoseconds UTC.
        resets: How the provider writes resets.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.fullmatch(milliseconds):
        return _bounded_ns(float(milliseconds) / 1000)
    seconds = headers.get("retry-after", "").strip()
    if "." in seconds and _NUMBER.fullmatch(seconds):
        return _bounded_ns(float(seconds))
    told_ns = retry_after_ns(headers, now_ns)
    if told_ns is not None:
        return told_ns
    if resets is Resets.DURATIONS:
        texts = (headers.get(f"x-ratelimit-reset-{kind}", "") for kind in _exhausted(headers, "x-ratelimit-remaining-"))
        return max((_bounded_ns(_duration_s(text)) for text in texts), default=0)
    if resets is Resets.INSTANTS:
        prefix, suffix = "anthropic-ratelimit-", "-remaining"
        texts = (headers.get(f"{prefix}{kind}-reset", "") for kind in _exhausted(headers, prefix, suffix))
        return max((_bounded_ns(_instant_s(text) - now_ns / 1e9) for text in texts), default=0)
    return 0


def _exhausted(headers: Mapping[str, str], prefix: str, suffix: str = "") -> list[str]:
    return [
        name.removeprefix(prefix).removesuffix(suffix)
        for name, value in headers.items()
        if name.startswith(prefix) and name.endswith(suffix) and value.strip() == "0"
    ]


def _duration_s(text: str) -> float:
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        return 0.0
    return sum(float(number) * _UNIT_S[unit] for unit, number in match.groupdict().items() if number)


def _instant_s(text: str) -> float:
    try:
        instant = datetime.fromisoformat(text.strip())
        return (instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _bounded_ns(seconds: float) -> int:
    return round(min(max(0.0, seconds), _WAIT_MAX_S) * 1e9)


def estimated_tokens(data: bytes) -> int:
    """Return more tokens than `data` has in ordinary text, for a provider that does not count."""
    return -(-len(data) // _BYTES_PER_TOKEN_MIN)


def token_count(value: object) -> int | None:
    """Return a count of tokens from an answer, or None when it is none: negative, too large, no integer."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _TOKENS_MAX:
        return None
    return value


def shown(value: object, length_max: int) -> str:
    """Return foreign text as it may be shown: control and invisible characters out, cut; anything but text is empty."""
    if not isinstance(value, str):
        return ""
    kept = (each for each in value[: 4 * length_max] if not unicodedata.category(each).startswith("C"))
    return "".join(kept)[:length_max]


def encodable(text: str) -> str:
    """Return `text` with halves of characters, which cannot be encoded, replaced by question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def require_model_url(url: str, *, allows_private: bool) -> None:
    """Refuse a base address that cannot be one, before anything is looked up.

    Raises:
        DomainError: If it is neither https nor loopback, has a user, a query or a fragment, or is a forbidden address.
    """
    require_safe_url(url, scheme="http")
    parts = urlsplit(url)
    if parts.query or parts.fragment or not url.isascii() or any(each <= " " or each == "\x7f" for each in url):
        msg = f"address {origin(url)}: expected a path and nothing behind it, was something else"
        raise DomainError(msg)
    host = parts.hostname or ""
    problem = problem_of(host, allows_private=allows_private)
    is_loopback = parts.scheme == "http"
    if problem and problem != "not an address" and not is_loopback and not _is_loopback_text(host):
        hint = "set allow_private = true for a model on your own network" if problem == "a private address" else None
        msg = f"address {origin(url)}: expected a public host, was {problem}"
        raise DomainError(msg, hint=hint)


def _is_loopback_text(host: str) -> bool:
    return host == "::1" or host.startswith("127.")


@attrs.frozen(repr=False)
class ModelAnswer:
    """What became of one request to a model API.

    Attributes:
        status: OK: `document` is the answer of a success. Otherwise by what HTTP alone says.
        detail: Why it is not OK, for people, with neither key nor question in it.
        http_status: 0 when there was none.
        body: As received; empty when there was none.
        document: The body as a JSON object; empty when it is none.
        latency_ns: From the call to the whole answer, or to giving up.
        retry_after_ns: How long the server asks to be left alone; 0 when it does not say.
        request_id: The server's name for the request.
        usage: What has to be reckoned with where the answer does not tell the usage: nothing for a request that was
            refused, the worst for one that may have been answered.
    """

    status: ReplyStatus
    detail: str = ""
    http_status: int = 0
    body: bytes = b""
    document: Mapping[str, Any] = attrs.field(factory=dict)
    latency_ns: int = 0
    retry_after_ns: int = 0
    request_id: str = ""
    usage: Usage = attrs.field(factory=Usage)

    def __repr__(self) -> str:
        return f"<ModelAnswer {self.status.value}, HTTP {self.http_status}, {len(self.body)} bytes>"

    def reply(  # noqa: PLR0913 - each argument is one field of the reply
        self,
        status: ReplyStatus | None = None,
        *,
        detail: str | None = None,
        text: str = "",
        model: str = "",
        usage: Usage | None = None,
        cost_usd: Decimal | None = None,
    ) -> CompletionReply:
        """Return the reply that it leads to; what is not given is as the answer has it."""
        status = self.status if status is None else status
        return CompletionReply(
            status=status,
            text=text if status is ReplyStatus.OK else "",
            model=shown(model, _MODEL_LENGTH_MAX),
            latency_ns=self.latency_ns,
            usage=self.usage if usage is None else usage,
            reported_cost_usd=cost_usd,
            retry_after_ns=self.retry_after_ns,
            request_id=self.request_id,
            http_status=self.http_status,
            detail=self.detail if detail is None else detail,
        )


class ModelApi:
    """One account at one API: its address, key and connections, shared by all providers that use the same.

    Nothing is sent twice, redirects and environment variables are not followed, and the host is resolved and judged
    before each request.

    Args:
        base_url: `https`, or `http` to loopback; targets are put behind it.
        timing: Clock and sleep of deadlines.
        key: None for a server that wants none.
        key_header: Name and value of the header that carries a revealed key.
        resets: How rate headers say when a limit is over.
        request_id_header: In lower case.
        allows_private: Whether this machine and the local network may be connected to.
        connections_max: Requests under way at once.
        resolve: Looks names up.

    Raises:
        DomainError: If the address is unsafe.
    """

    def __init__(  # noqa: PLR0913 - what differs between providers, each thing by its name
        self,
        base_url: str,
        *,
        timing: Timing,
        key: Secret | None,
        key_header: Callable[[str], tuple[str, str]],
        resets: Resets = Resets.NONE,
        request_id_header: str = "x-request-id",
        allows_private: bool = False,
        connections_max: int = 4,
        resolve: Resolver = resolve_by_system,
    ) -> None:
        require_model_url(base_url, allows_private=allows_private)
        self.origin = origin(base_url)
        """Scheme, host and port: what may be shown."""
        self._path = urlsplit(base_url).path.rstrip("/")
        self._timing = timing
        self._key = key
        self._key_header = key_header
        self._resets = resets
        self._request_id_header = request_id_header
        self._guard = AddressGuard(allows_private=allows_private, resolve=resolve)
        self._connections_max = connections_max
        self._session: HttpSession | None = None
        self._users = 0

    def __repr__(self) -> str:
        return f"<ModelApi {self.origin}>"

    def joined(self) -> Self:
        """Return itself, for one user more; each of them closes it once."""
        self._users += 1
        return self

    async def aclose(self) -> None:
        """Close the connections when the last user is gone."""
        self._users -= 1
        if self._users <= 0 and self._session is not None:
            session, self._session = self._session, None
            await session.aclose()

    def reveals_key(self, text: str) -> bool:
        """Tell whether `text` holds the key, as it is or with characters escaped as in JSON.

        What is shorter than any key, such as the `none` that a local server is given, is a word like others.
        """
        key = self._revealed()
        return len(key) >= _KEY_LENGTH_MIN and (key in text or ("\\" in text and key in _ESCAPE.sub(_plain, text)))

    async def models(
        self,
        target: str,
        *,
        timeout_s: float,
        error_status: Callable[[ModelAnswer], ReplyStatus | None],
        headers: _Headers = (),
    ) -> ModelList:
        """Return the ids that a list of models holds; a server that has no list lists none and is OK.

        Args:
            target: Behind the base address.
            timeout_s: For all of it.
            error_status: What an answer is by its body, None when it is no error.
            headers: Besides that for the key.
        """
        answer = await self._ask("GET", target, b"", headers, Usage(), timeout_s, _LIST_BYTES_MAX)
        if answer.http_status in _NO_LIST:
            return ModelList(ReplyStatus.OK, detail=f"HTTP {answer.http_status}: the server lists no models")
        status = error_status(answer)
        if status is not None:
            return ModelList(status, detail=answer.detail or "the answer holds an error")
        data = answer.document.get("data")
        if not isinstance(data, list):
            return ModelList(ReplyStatus.UNREADABLE, detail="the answer is no list of models")
        named = (item.get("id") for item in data[:_MODELS_MAX] if isinstance(item, dict))
        names = (shown(name, _MODEL_LENGTH_MAX) for name in named if isinstance(name, str))
        return ModelList(ReplyStatus.OK, models=tuple(name for name in names if name and not self.reveals_key(name)))

    async def post(  # noqa: PLR0913 - a request and its bounds
        self,
        target: str,
        body: bytes,
        *,
        timeout_s: float,
        reply_bytes_max: int,
        output_tokens_max: int,
        headers: _Headers = (),
    ) -> ModelAnswer:
        """Send a question once, within `timeout_s`, and return what became of it; never an exception for that.

        Args:
            target: Behind the base address, such as `/chat/completions`.
            body: JSON.
            timeout_s: For all of it, waiting for a free connection included.
            reply_bytes_max: A longer answer is not read to its end.
            output_tokens_max: What the answer may cost at most, for the case that nobody knows.
            headers: Besides those for key and content type.
        """
        worst = Usage(input_tokens=estimated_tokens(body), output_tokens=output_tokens_max, is_estimated=True)
        headers = (("Content-Type", "application/json"), *headers)
        return await self._ask("POST", target, body, headers, worst, timeout_s, reply_bytes_max)

    async def get(
        self, target: str, *, timeout_s: float, body_bytes_max: int = _LIST_BYTES_MAX, headers: _Headers = ()
    ) -> ModelAnswer:
        """Fetch what costs nothing, such as the state of a batch."""
        return await self._ask("GET", target, b"", headers, Usage(), timeout_s, body_bytes_max)

    async def get_lines(
        self, target: str, *, timeout_s: float, headers: _Headers = ()
    ) -> tuple[ModelAnswer, Sequence[bytes]]:
        """Fetch a file with one JSON object a line, and return its lines; its answer is OK when it is whole."""
        answer = await self.get(target, timeout_s=timeout_s, body_bytes_max=_FILE_BYTES_MAX, headers=headers)
        # A file is no JSON object as a whole; one that was cut, or too long, has no body here.
        is_whole = answer.http_status in _SUCCESS and bool(answer.body)
        if not is_whole:
            return answer, ()
        return attrs.evolve(answer, status=ReplyStatus.OK, detail=""), answer.body.splitlines()

    async def upload(
        self, target: str, content: bytes, *, fields: Mapping[str, str], timeout_s: float, headers: _Headers = ()
    ) -> ModelAnswer:
        """Send a file as a form with some more fields, once."""
        boundary = sha256(content).hexdigest()
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="questions.jsonl"\r\n'
        opening = f"{head}{file}Content-Type: application/jsonl\r\n\r\n".encode()
        body = opening + content + f"\r\n--{boundary}--\r\n".encode()
        headers = (("Content-Type", f"multipart/form-data; boundary={boundary}"), *headers)
        return await self._ask("POST", target, body, headers, Usage(), timeout_s, _LIST_BYTES_MAX)

    def contained(
        self, http_status: int, body: bytes, *, asked: bytes, output_tokens_max: int, request_id: str = ""
    ) -> ModelAnswer:
        """Return the answer to one question that came inside of another answer.

        Args:
            http_status: That it would have had by itself.
            body: As it was written there.
            asked: The question's body.
            output_tokens_max: What the answer may cost at most, where it does not tell.
            request_id: The server's name for it.
        """
        worst = Usage(input_tokens=estimated_tokens(asked), output_tokens=output_tokens_max, is_estimated=True)
        return self._answered(Answer(http_status, {self._request_id_header: request_id}, body, 0), asked, worst, 0)

    async def _ask(  # noqa: PLR0913, PLR0917 - as `post`
        self,
        method: str,
        target: str,
        body: bytes,
        headers: _Headers,
        worst: Usage,
        timeout_s: float,
        reply_bytes_max: int,
    ) -> ModelAnswer:
        import anyio  # noqa: PLC0415 - options are judged where nothing is asked

        problem = self._key_problem()
        if problem:
            return ModelAnswer(ReplyStatus.CONFIG, problem)
        key = self._revealed()
        authority = (self._key_header(key),) if key else ()
        began_s = anyio.current_time()
        request = HttpRequest(method, f"{self._path}{target}".encode("ascii"), (*headers, *authority), body)
        outcome = await self._opened().send(request, total_s=timeout_s, body_bytes_max=reply_bytes_max)
        # Not by the clock: in a run on a virtual market that one stands still, or runs ahead, while a model thinks.
        latency_ns = round((anyio.current_time() - began_s) * 1e9)
        if isinstance(outcome, Answer):
            return self._answered(outcome, body, worst, latency_ns)
        return self._unanswered(outcome, worst, latency_ns)

    def _opened(self) -> HttpSession:
        if self._session is None:
            from mmframe.net.http import HttpLimits, HttpSession  # noqa: PLC0415 - loaded where something is asked

            limits = HttpLimits(
                concurrent_max=self._connections_max,
                waiting_max=_WAITING_MAX,
                connect_s=_CONNECT_S,
                read_s=_READ_S,
            )
            self._session = HttpSession(self.origin, timing=self._timing, limits=limits, guard=self._guard)
        return self._session

    def _revealed(self) -> str:
        try:
            return "" if self._key is None else self._key.reveal()
        except DomainError:
            return ""

    def _key_problem(self) -> str:
        if self._key is None:
            return ""
        try:
            key = self._key.reveal()
        except DomainError as error:
            return error.message
        if not _KEY.fullmatch(key):
            return f"the key from {self._key.source} is empty or holds characters that no key has"
        return ""

    def _answered(self, answer: Answer, asked: bytes, worst: Usage, latency_ns: int) -> ModelAnswer:
        status = status_of(answer.status)
        document = _document(answer.body)
        detail, usage = "", Usage()
        if status is not ReplyStatus.OK:
            detail = self._refusal(answer.status, document, asked)
        elif document is None:
            status, detail, usage = ReplyStatus.UNREADABLE, "the answer is no JSON object", worst
        else:
            usage = worst
        request_id = shown(answer.headers.get(self._request_id_header, ""), _REQUEST_ID_LENGTH_MAX)
        return ModelAnswer(
            status=status,
            detail=detail,
            http_status=answer.status,
            body=answer.body,
            document=document or {},
            latency_ns=latency_ns,
            retry_after_ns=self._wait_ns(status, answer),
            request_id="" if self._quotes(request_id, asked) else request_id,
            usage=usage,
        )

    def _unanswered(self, outcome: NotSent | OutcomeUnknown, worst: Usage, latency_ns: int) -> ModelAnswer:
        if isinstance(outcome, NotSent):
            if outcome.is_final:
                return ModelAnswer(ReplyStatus.CONFIG, outcome.reason, latency_ns=latency_ns)
            detail = f"{self.origin} could not be asked: {outcome.reason}"
            return ModelAnswer(ReplyStatus.UNAVAILABLE, detail, latency_ns=latency_ns)
        http_status = outcome.status or 0
        if http_status and http_status not in _SUCCESS:
            status, usage = status_of(http_status), Usage()
        else:
            status = ReplyStatus.UNREADABLE if outcome.is_unreadable else ReplyStatus.UNAVAILABLE
            usage = worst
        detail = outcome.reason if http_status else f"{self.origin} did not answer: {outcome.reason}"
        return ModelAnswer(status, detail, http_status=http_status, latency_ns=latency_ns, usage=usage)

    def _wait_ns(self, status: ReplyStatus, answer: Answer) -> int:
        if status is ReplyStatus.OK:
            return 0
        resets = self._resets if status is ReplyStatus.RATE_LIMITED else Resets.NONE
        return wait_ns(answer.headers, _answered_ns(answer), resets=resets)

    def _refusal(self, http_status: int, document: Mapping[str, Any] | None, asked: bytes) -> str:
        code = self.error_code(document or {}, asked)
        detail = f"HTTP {http_status}, {code}" if code else f"HTTP {http_status}"
        if http_status in _FORBIDDEN:
            whose = "no key was sent" if self._key is None else f"the key from {self._key.source} was refused"
            return f"{detail}: {whose}"
        return detail

    def error_code(self, document: Mapping[str, Any], asked: bytes) -> str:
        """Return the word by which an answer names its error, if it is one and quotes neither key nor question.

        The error's own text is never used: servers put parts of the key and of the question into it.
        """
        error = document.get("error")
        if not isinstance(error, dict):
            return ""
        for name in ("code", "type"):
            word = error.get(name)
            if isinstance(word, str) and _CODE.fullmatch(word) and not self._quotes(word, asked):
                return word
        return ""

    def _quotes(self, text: str, asked: bytes) -> bool:
        return bool(text) and (self.reveals_key(text) or text.encode("utf-8", "replace") in asked)


_Headers = tuple[tuple[str, str], ...]


def _answered_ns(answer: Answer) -> int:
    """Return when an answer was given, by the clock that also names the end of a wait: the server's, if it tells."""
    try:
        return round(parsedate_to_datetime(answer.headers.get("date", "")).timestamp()) * 1_000_000_000
    except (ValueError, OverflowError):
        return answer.receive_ns


def _plain(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else escape[2]


def _document(body: bytes) -> Mapping[str, Any] | None:
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
