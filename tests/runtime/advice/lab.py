"""A plugin for tests: an adviser that asks about mids, and a provider that does as it is told."""

import json

import anyio
import attrs

from mmframe.domain.advice import (
    AdviceRequest,
    AdviceVerdict,
    Answer,
    CompletionReply,
    CompletionRequest,
    ModelList,
    Rejection,
    ReplyStatus,
    Usage,
)
from mmframe.plugin import AdviserSpec, LLMProviderSpec, Secret, hookimpl, option

MMFRAME_API = 1
SCHEMA = b'{"type":"object"}'
SECRET_PROMPT = "prompt-canary"


@attrs.frozen
class EchoOptions:
    levels: int = option(help="Levels.", default=2)
    trades: int = option(help="Trades.", default=3)
    raises: str = option(help="Where it raises.", default="")


class Echo:
    def __init__(self, options):
        self.levels, self.trades, self._raises = options.levels, options.trades, options.raises

    def request(self, pictures):
        if self._raises == "request":
            raise RuntimeError("no question")
        if self._raises == "none":
            return None
        facts = [
            [p.symbol, f"{p.view.mid:.2f}", f"{p.inventory.position:.4f}", len(p.bids), len(p.trades)] for p in pictures
        ]
        prompt = SECRET_PROMPT if self._raises == "nothing, and asks the same" else SECRET_PROMPT + json.dumps(facts)
        completion = CompletionRequest("You advise.", prompt, SCHEMA, "advice", 100)
        return AdviceRequest(tuple(p.market for p in pictures), completion, "v1")

    def read(self, text, request):
        if self._raises == "read":
            raise RuntimeError("cannot read")
        try:
            found = json.loads(text)
            answers = [Answer(market, **found) for market in request.markets]
        except (ValueError, TypeError, RecursionError):
            return tuple(Rejection(m, AdviceVerdict.NOT_JSON, "no JSON") for m in request.markets), False
        return tuple(answers), False


@attrs.frozen
class ScriptOptions:
    behaviour: str = option(help="What it does.", default="answer")
    reply: str = option(
        help="What it answers.",
        default='{"bid_spread_multiplier": 2.0, "ask_spread_multiplier": 1.5, "confidence": 0.9}',
    )
    replies: tuple[str, ...] = option(help="What it answers, one after the other.", default=())
    dies_after: int = option(help="Calls that it answers.", default=0)
    input_tokens: int = option(help="Usage.", default=150)
    output_tokens: int = option(help="Usage.", default=15)
    key: Secret | None = option(help="Key.", default=None)


class Script:
    model = "lab-1"

    def __init__(self, options):
        self._options = options
        self.calls = 0
        self.is_closed = False

    def body(self, request):
        return json.dumps([self.model, request.system, request.prompt]).encode()

    async def complete(self, request, *, timeout_s):
        self.calls += 1
        options = self._options
        behaviour = options.behaviour
        if options.dies_after and self.calls > options.dies_after:
            behaviour = "fail"
        if behaviour == "hang":
            await anyio.sleep_forever()
        if behaviour == "raise":
            raise RuntimeError("boom " + request.prompt)
        if behaviour == "fail":
            return CompletionReply(ReplyStatus.UNAVAILABLE, http_status=503, detail="HTTP 503")
        if behaviour == "401":
            source = options.key.source if options.key else "nowhere"
            return CompletionReply(
                ReplyStatus.CONFIG, http_status=401, detail=f"HTTP 401: the key from {source} was refused"
            )
        reply = options.replies[(self.calls - 1) % len(options.replies)] if options.replies else options.reply
        usage = Usage(input_tokens=options.input_tokens, output_tokens=options.output_tokens)
        return CompletionReply(ReplyStatus.OK, text=reply, model=self.model, latency_ns=1_000_000, usage=usage)

    async def models(self, *, timeout_s):
        return ModelList(ReplyStatus.OK, ("lab-1", "lab-2"))

    async def aclose(self):
        self.is_closed = True


@hookimpl
def mmframe_register_advisers():
    return [
        AdviserSpec(name="echo", summary="Echoes.", options=EchoOptions, build=lambda options, context: Echo(options))
    ]


@hookimpl
def mmframe_register_llm_providers():
    return [
        LLMProviderSpec(
            name="script", summary="Scripted.", options=ScriptOptions, build=lambda options, context: Script(options)
        )
    ]
