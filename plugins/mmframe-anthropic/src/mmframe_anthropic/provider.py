"""The provider: asks one question of the messages API and says how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.domain.advice import ReplyStatus
from mmframe.net.address import resolve_by_system
from mmframe.net.model_api import ModelApi, Resets
from mmframe.net.timing import Timing
from mmframe_anthropic.wire import error_status, messages_body, read_message, read_usage

if TYPE_CHECKING:
    from mmframe.domain.advice import CompletionReply, CompletionRequest, ModelList
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
