"""The provider: asks one question of the messages API and says how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.advice import ReplyStatus
from mmframe.net.address import resolve_by_system
from mmframe.net.model_api import ModelApi, Resets
from mmframe.net.timing import Timing
from mmframe_anthropic import batch as batches
from mmframe_anthropic.wire import error_http_status, error_status, messages_body, read_message, read_usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mmframe.domain.advice import Batch, BatchReplies, CompletionReply, CompletionRequest, ModelList
    from mmframe.net.address import Resolver
    from mmframe.net.model_api import ModelAnswer
    from mmframe.plugin import BuildContext
    from mmframe_anthropic.options import MessagesOptions

__all__ = ["MessagesProvider"]

_HEADERS = (("anthropic-version", "2023-06-01"),)


class MessagesProvider:
    """A model behind the messages API.

    Args:
        options: What the strategy file says.
        context: Clock, and the connections shared by all providers with this key.
        resolve: Looks names up.
    """

    def __init__(
        self, options: MessagesOptions, context: BuildContext, *, resolve: Resolver = resolve_by_system
    ) -> None:
        self.model = options.model
        self._options = options
        base_url = options.base_url.rstrip("/")

        def make() -> ModelApi:
            return ModelApi(
                base_url,
                timing=Timing(context.clock),
                key=options.api_key,
                key_header=lambda key: ("x-api-key", key),
                resets=Resets.INSTANTS,
                request_id_header="request-id",
                allows_private=options.allow_private,
                connections_max=options.connections_max,
                resolve=resolve,
            )

        source = "no key" if options.api_key is None else options.api_key.source
        account = (base_url, source, options.allow_private, options.connections_max)
        self._api = context.shared(f"model api {account}", make).joined()

    def __repr__(self) -> str:
        return f"<MessagesProvider {self.model} at {self._api.origin}>"

    def body(self, request: CompletionRequest) -> bytes:
        """Return the body of a question, as it is sent."""
        return messages_body(request, self._options)

    async def complete(self, request: CompletionRequest, *, timeout_s: float) -> CompletionReply:
        """Ask once, within `timeout_s`, and return how it ended."""
        body = self.body(request)
        answer = await self._api.post(
            "/v1/messages",
            body,
            timeout_s=timeout_s,
            reply_bytes_max=self._options.reply_bytes_max,
            output_tokens_max=request.max_reply_tokens,
            headers=_HEADERS,
        )
        return self._reply(answer, body)

    def _reply(self, answer: ModelAnswer, body: bytes) -> CompletionReply:
        status = _error_status(answer)
        if status is not None:
            code = self._api.error_code(answer.document, body)
            hidden = "the answer holds an error" + (f", {code}" if code else "")
            return answer.reply(status, detail=answer.detail or hidden)
        return self._read(answer)

    async def models(self, *, timeout_s: float) -> ModelList:
        """Return the models that the server lists, a thousand at most."""
        return await self._api.models(
            "/v1/models?limit=1000", timeout_s=timeout_s, error_status=_error_status, headers=_HEADERS
        )

    async def submit_batch(self, batch: Batch, asked: Mapping[str, CompletionRequest], *, timeout_s: float) -> Batch:
        """Hand questions over in one request."""
        bodies = {name: self.body(request) for name, request in asked.items()}
        return await batches.submit(self._channel(timeout_s), batch, asked, bodies)

    async def find_batch(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Look for a batch in the server's list, which shows labels only in the results of those that have ended."""
        return await batches.find(self._channel(timeout_s), batch)

    async def batch_state(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Return how far a batch has come."""
        return await batches.state(self._channel(timeout_s), batch)

    async def batch_replies(
        self, batch: Batch, asked: Mapping[str, CompletionRequest], *, timeout_s: float
    ) -> BatchReplies:
        """Fetch the results of a batch that has ended, and return the reply to each question."""

        def read(line: batches.Line, request: CompletionRequest) -> CompletionReply:
            return self._read_line(line, request)

        return await batches.replies(self._channel(timeout_s), batch, asked, read)

    async def cancel_batch(self, batch: Batch, *, timeout_s: float) -> Batch:
        """Ask the server to end a batch."""
        return await batches.cancel(self._channel(timeout_s), batch)

    def _channel(self, timeout_s: float) -> batches.Channel:
        return batches.Channel(self._api, _HEADERS, timeout_s, _error_status)

    def _read_line(self, line: batches.Line, request: CompletionRequest) -> CompletionReply:
        result = line.result
        if result.type not in {"succeeded", "errored"}:
            return batches.left_out(result.type)
        is_error = result.type == "errored"
        body = self.body(request)
        answer = self._api.contained(
            error_http_status(bytes(result.error)) if is_error else 200,
            bytes(result.error if is_error else result.message),
            asked=body,
            output_tokens_max=request.max_reply_tokens,
        )
        return self._reply(answer, body)

    async def aclose(self) -> None:
        """Close the connections, unless another provider uses them."""
        await self._api.aclose()

    def _read(self, answer: ModelAnswer) -> CompletionReply:
        status, text, detail = read_message(answer.document, answer.body, uses_tool=self._options.json_mode == "tool")
        model = answer.document.get("model")
        if self._api.reveals_key(text):
            status, detail = ReplyStatus.UNREADABLE, "the answer quotes the key"
        return answer.reply(
            status,
            detail=detail,
            text=text,
            model=model if isinstance(model, str) and not self._api.reveals_key(model) else "",
            usage=read_usage(answer.document, answer.usage, text, is_complete=status is ReplyStatus.OK),
        )


def _error_status(answer: ModelAnswer) -> ReplyStatus | None:
    return error_status(answer.http_status, answer.document, answer.status)
