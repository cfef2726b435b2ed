"""What the built-in advisers share: a question made of declared numbers, and a strict reading of the reply."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from mmframe.builtin.advisers._facts import Fact, Table, distance_bps
from mmframe.builtin.advisers._template import SKELETON, read_template, rendered
from mmframe.domain.advice import AdviceRequest, Answer, CompletionRequest, Rejection
from mmframe.plugin.replies import Fault, ReplySchema, canonical_json, clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mmframe.builtin.advisers._options import QuestionOptions
    from mmframe.domain.advice import MarketPicture
    from mmframe.plugin import BuildContext
    from mmframe.plugin.replies import Values

__all__ = ["Brief", "ModelAdviser", "scaled"]

_SYMBOL_CHARACTERS_MAX = 40
_VERSION_DIGITS = 12


class Brief(NamedTuple):
    """What makes one adviser: its task, what the model is told, what it answers, and what that means."""

    name: str
    task: str
    inputs: tuple[Fact | Table, ...]
    schema: ReplySchema
    answer: Callable[[int, Values], Answer]


class ModelAdviser:
    """An adviser that asks a model about numbers and takes typed numbers, words of a list, or nothing.

    Args:
        brief: What it asks and what an answer means.
        options: What the model is told.
        context: For the folder of the template.

    Raises:
        DomainError: If the template cannot be used.
    """

    def __init__(self, brief: Brief, options: QuestionOptions, context: BuildContext) -> None:
        self.levels = options.levels
        self.trades = options.trades
        self._brief = brief
        self._options = options
        self._inputs = (*brief.inputs, *_signal_inputs(options), *_named_inputs(options))
        text = SKELETON if options.template is None else read_template(context.directory, options.template)
        self._system = rendered(
            text,
            {
                "task": brief.task,
                "inputs": "\n".join(f"- {each.name}: {each.help}" for each in self._inputs),
                "fields": brief.schema.describe(),
                "example": brief.schema.example(_keys(1)),
            },
        )
        versioned = self._system.encode() + brief.schema.json_schema(_keys(1))
        self._version = hashlib.sha256(versioned).hexdigest()[:_VERSION_DIGITS]

    def request(self, pictures: Sequence[MarketPicture]) -> AdviceRequest | None:
        """Return one question about all markets, or None without any."""
        if not pictures:
            return None
        keys = _keys(len(pictures))
        asked = {key: self._told(picture) for key, picture in zip(keys, pictures, strict=True)}
        options = self._options
        return AdviceRequest(
            markets=tuple(picture.market for picture in pictures),
            completion=CompletionRequest(
                system=self._system,
                prompt="JSON: " + canonical_json({"markets": asked}).decode("ascii"),
                reply_schema=self._brief.schema.json_schema(keys),
                reply_name=self._brief.name,
                max_reply_tokens=options.thinking_tokens + options.reply_tokens_per_market * len(pictures),
            ),
            prompt_version=self._version,
        )

    def read(self, text: str, request: AdviceRequest) -> tuple[Sequence[Answer | Rejection], bool]:
        """Return an answer or a rejection for each market asked about, and whether the JSON had to be salvaged."""
        reading = self._brief.schema.read(text, _keys(len(request.markets)))
        return [
            Rejection(market, entry.verdict, str(entry))
            if isinstance(entry, Fault)
            else self._brief.answer(market, entry)
            for market, entry in zip(request.markets, reading.entries.values(), strict=True)
        ], reading.is_salvaged

    def _told(self, picture: MarketPicture) -> dict[str, Any]:
        return {each.name: each.told(picture) for each in self._inputs}


def scaled(value: float, bound: float) -> float:
    """Return a share of -1 to 1 of `bound`; nothing is 0.0 and never -0.0, which looks like a mistake in a record."""
    return value * bound + 0.0


class _Symbol(NamedTuple):
    """The one text of a question: data, cut short."""

    name: str = "symbol"
    help: str = "the market's name."

    def told(self, picture: MarketPicture) -> str:
        return clean_text(picture.symbol, _SYMBOL_CHARACTERS_MAX)


def _named_inputs(options: QuestionOptions) -> tuple[_Symbol | Fact, ...]:
    if options.anonymise:
        return ()
    return _Symbol(), Fact("mid", "middle of best bid and best ask, quote units.", None, lambda p: p.view.mid)


def _signal_inputs(options: QuestionOptions) -> tuple[Fact, ...]:
    plain = [Fact(f"signal_{name}", "our signal of that name.", None, _signal(name)) for name in options.signals]
    prices = [
        Fact(
            f"signal_{name}_bps",
            "our signal of that name, a price: its distance from the mid, bps.",
            2,
            _price_signal(name),
        )
        for name in options.price_signals
    ]
    return (*plain, *prices)


def _signal(name: str) -> Callable[[MarketPicture], float]:
    return lambda picture: picture.signals.get(name, float("nan"))


def _price_signal(name: str) -> Callable[[MarketPicture], float]:
    return lambda picture: distance_bps(picture, picture.signals.get(name, float("nan")))


def _keys(count: int) -> tuple[str, ...]:
    return tuple(f"M{number}" for number in range(1, count + 1))
