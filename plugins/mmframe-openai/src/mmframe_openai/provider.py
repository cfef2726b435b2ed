"""The provider: asks one question of a chat completions endpoint and says how it ended."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from mmframe.domain.advice import CompletionReply, ReplyStatus
from mmframe.errors import DomainError
from mmframe.net.address import resolve_by_system
from mmframe.net.model_api import ModelApi
from mmframe.net.timing import Timing
from mmframe.plugin import Mode
from mmframe_openai import batch as batches
from mmframe_openai.options import JSON_MODES, Settings
from mmframe_openai.wire import chat_body, error_status, read_choice, read_cost_usd, read_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.advice import Batch, BatchReplies, CompletionRequest, ModelList
    from mmframe.net.address import Resolver
    from mmframe.net.model_api import ModelAnswer
    from mmframe.plugin import BuildContext
    from mmframe_openai.options import ChatOptions

__all__ = ["ChatProvider"]

_LOG = logging.getLogger("mmframe.openai")
_REFUSALS_OF_A_FORMAT = frozenset({400, 422})
_SUCCESS = range(200, 300)


class ChatProvider:
    """A model behind a chat completions endpoint.

    Args:
        options: What the strategy file says.
        context: Clock, mode, and the connections shared by all providers with this key.
        resolve: Looks names up.

    Raises:
        DomainError: If `json_mode` is `auto` in a backtest, whose recorded answers are found by the exact body.
    """

    def __init__(self, options: ChatOptions, context: BuildContext, *, resolve: Resolver = resolve_by_system) -> None:
        self.model = options.model
        self._options = options
        self._settings = settings = Settings.of(options)
        self._modes = settings.json_modes
        if len(self._modes) > 1 and context.mode is Mode.BACKTEST:
            msg = "json_mode: expected the one that the replies were recorded with, was 'auto'"
            raise DomainError(msg, hint="the log of the recorded run says which: event llm_json_mode")
        self._headers = tuple(options.headers.items())

        def make() -> ModelApi:
            return ModelApi(
                settings.base_url,
                timing=Timing(context.clock),
                key=options.api_key,
                key_header=lambda key: ("Authorization", f"Bearer {key}"),
                resets=settings.resets,
                allows_private=options.allow_private,
                connections_max=options.connections_max,
                resolve=resolve,
            )

        source = "no key" if options.api_key is None else options.api_key.source
        account = (settings.base_url, source, settings.resets, options.allow_private, options.connections_max)
        self._api = context.shared(f"model api {account}", make).joined()

    def __repr__(self) -> str:
        return f"<ChatProvider {self.model} at {self._api.origin}>"

    @property
    def json_mode(self) -> str:
        """Return how the next question asks for JSON."""
        return self._modes[0]

    def body(self, request: CompletionRequest) -> bytes:
        """Return the body of a question, as it would be sent now."""
        return self._body(request, self.json_mode)

    async def complete(self, request: CompletionRequest, *, timeout_s: float) -> CompletionReply:
        """Ask once. While `json_mode = "auto"` is not settled, ask once more for each way that the server refuses.

        What it refuses costs nothing, and `timeout_s` is for all of it.
        """
        reply, spent_ns = CompletionReply(ReplyStatus.CONFIG), 0
        for mode in self._modes:
            reply = await self._ask(self._body(request, mode), request.max_reply_tokens, timeout_s - spent_ns / 1e9)
            spent_ns += reply.latency_ns
            is_refused = reply.status is ReplyStatus.CONFIG and reply.http_status in _REFUSALS_OF_A_FORMAT
            if reply.http_status in _SUCCESS:
                self._settle(mode)
            if not is_refused or spent_ns >= timeout_s * 1e9:
                break
        return msgspec.structs.replace(reply, latency_ns=spent_ns)

    async def models(self, *, timeout_s: float) -> ModelList:
        """Return the models that the server lists."""
        return await self._api.models("/models", timeout_s=timeout_s, error_status=_error_status, headers=self._headers)

    async def submit_batch(self, batch: Batch, asked: Mapping[str, CompletionRequest], *, timeout_s: float) -> Batch:
        """Hand questions over as a file, and begin a batch with it; the file alone costs nothing."""
        bodies = {name: self.body(request) for name, request in asked.items()}
        return await batches.submit(self._channel(timeout_s), batch, asked, bodies)

    async def find_batch(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Look for a batch in the server's list, by the label in its metadata."""
        return await batches.find(self._channel(timeout_s), batch)

    async def batch_state(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Return how far a batch has come."""
        return await batches.state(self._channel(timeout_s), batch)

    async def batch_replies(
        self, batch: Batch, asked: Mapping[str, CompletionRequest], *, timeout_s: float
    ) -> BatchReplies:
        """Fetch the files of a batch that has ended, and return the reply to each question."""

        def read(line: batches.Line, request: CompletionRequest) -> CompletionReply:
            return self._read_line(line, request)

        return await batches.replies(self._channel(timeout_s), batch, asked, read)

    async def cancel_batch(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Ask the server to end a batch."""
        return await batches.cancel(self._channel(timeout_s), batch)

    async def aclose(self) -> None:
        """Close the connections, unless another provider uses them."""
        await self._api.aclose()

    def _channel(self, timeout_s: float) -> batches.Channel:
        return batches.Channel(self._api, self._headers, timeout_s, _error_status)

    def _read_line(self, line: batches.Line, request: CompletionRequest) -> CompletionReply:
        body = self.body(request)
        response = line.response
        if response is None:
            return batches.left_out(line.error)
        answer = self._api.contained(
            response.status_code,
            bytes(response.body),
            asked=body,
            output_tokens_max=request.max_reply_tokens,
            request_id=response.request_id or "",
        )
        return self._reply(answer, body)

    def _body(self, request: CompletionRequest, json_mode: str) -> bytes:
        return chat_body(request, self._options, self._settings, json_mode)

    def _settle(self, mode: str) -> None:
        if len(self._modes) > 1:
            self._modes = (mode,)
            fields = {"address": self._api.origin, "model": self.model, "mode": mode}
            _LOG.log(logging.INFO if mode == JSON_MODES[0] else logging.WARNING, "llm_json_mode", extra=fields)

    async def _ask(self, body: bytes, output_tokens_max: int, timeout_s: float) -> CompletionReply:
        answer = await self._api.post(
            "/chat/completions",
            body,
            timeout_s=timeout_s,
            reply_bytes_max=self._options.reply_bytes_max,
            output_tokens_max=output_tokens_max,
            headers=self._headers,
        )
        return self._reply(answer, body)

    def _reply(self, answer: ModelAnswer, body: bytes) -> CompletionReply:
        status = _error_status(answer)
        if status is not None:
            code = self._api.error_code(answer.document, body)
            hidden = "the answer holds an error" + (f", {code}" if code else "")
            return answer.reply(status, detail=answer.detail or hidden)
        return self._read(answer)

    def _read(self, answer: ModelAnswer) -> CompletionReply:
        status, text, detail = read_choice(answer.document)
        model = answer.document.get("model")
        if self._api.reveals_key(text):
            status, detail = ReplyStatus.UNREADABLE, "the answer quotes the key"
        return answer.reply(
            status,
            detail=detail,
            text=text,
            model=model if isinstance(model, str) and not self._api.reveals_key(model) else "",
            usage=read_usage(answer.document, self._settings, answer.usage, text, is_complete=status is ReplyStatus.OK),
            cost_usd=read_cost_usd(answer.document, self._settings),
        )


def _error_status(answer: ModelAnswer) -> ReplyStatus | None:
    return error_status(answer.http_status, answer.document, answer.status)
