"""What a strategy file may say of the fill simulation, and what a run with it assumes, in sentences."""

from __future__ import annotations

from decimal import Decimal

import attrs

from mmframe.plugin import option

__all__ = ["SimulatedOptions", "assumptions"]


@attrs.frozen
class SimulatedOptions:
    """Keys of `[venue.paper]` and `[venue.backtest]` with `use = "simulated"`."""

    queue: str = option(
        help="How a shrinking level advances our order: `risk-averse` not at all, `probability` by a share.",
        default="risk-averse",
        choices=("risk-averse", "probability"),
    )
    queue_function: str = option(
        help="Shape of that share: f(x) = x^queue_exponent or f(x) = log(1 + x).",
        default="power",
        choices=("power", "log"),
    )
    queue_exponent: float = option(
        help="Exponent of the power function; larger means that more of the cancels happen on the larger side of us.",
        default=3.0,
        above=0.0,
        maximum=10.0,
    )
    feed_latency_ms: float = option(
        help="Time that market data and answers take from the venue to us.",
        default=10.0,
        minimum=0.0,
        maximum=60_000.0,
        unit="ms",
    )
    order_latency_ms: float = option(
        help="Time that a request takes from us into the venue's matching engine.",
        default=20.0,
        minimum=0.0,
        maximum=60_000.0,
        unit="ms",
    )
    latency_jitter_ms: float = option(
        help="Largest extra time of a request, uniform from 0 and seeded; requests never overtake each other.",
        default=0.0,
        minimum=0.0,
        maximum=60_000.0,
        unit="ms",
    )
    maker_fee_bps: Decimal = option(
        help="Fee on what rested; negative is a rebate.",
        default=Decimal(10),
        minimum=-1000.0,
        maximum=1000.0,
        unit="bps",
    )
    taker_fee_bps: Decimal = option(
        help="Fee on what took; negative is a rebate.", default=Decimal(10), minimum=-1000.0, maximum=1000.0, unit="bps"
    )
    fee_asset: str = option(
        help="What fees are paid in: `quote`, `base`, or an asset's name, which needs `fee_asset_price_quote`.",
        default="quote",
    )
    fee_asset_price_quote: Decimal | None = option(
        help="Fixed price of one unit of another fee asset.", default=None, above=0.0, unit="quote units", example="600"
    )
    fill_on_cross: bool = option(
        help="Fill a resting order when the recorded book moves to or through its price, trade print or not.",
        default=True,
    )


def assumptions(options: SimulatedOptions) -> tuple[str, ...]:
    """Return what results with `options` rest on, one sentence each."""
    return (
        _queue_sentence(options),
        "A trade at our price takes the queue ahead of us, then us; one through our price takes us at once.",
        "A trade never fills more of our orders than its size.",
        _cross_sentence(options),
        _latency_sentence(options),
        f"Fees: maker {options.maker_fee_bps} bps, taker {options.taker_fee_bps} bps, in {_fee_asset_words(options)}.",
        "Our orders do not change the recorded market, except that we cannot take the same displayed lots twice.",
        "Depth is as fine as the recording: arrivals and cancels inside one depth update are not seen.",
        "While the recording has a gap nothing fills, and after it our orders stand at the back of their queues.",
    )


def _queue_sentence(options: SimulatedOptions) -> str:
    if options.queue == "risk-averse":
        return (
            "Queue: an order joins at the back; only trades advance it, and never is more ahead than the level holds."
        )
    shape = f"x^{options.queue_exponent:g}" if options.queue_function == "power" else "log(1 + x)"
    return (
        "Queue: an order joins at the back; trades advance it, and of other decreases the share "
        f"f(ahead) / (f(ahead) + f(behind)) with f(x) = {shape}."
    )


def _cross_sentence(options: SimulatedOptions) -> str:
    if options.fill_on_cross:
        return (
            "When the opposite side of the book reaches our price we fill as maker, by at most the lots that it shows."
        )
    return "Only trade prints fill resting orders, even when the book moves through them."


def _latency_sentence(options: SimulatedOptions) -> str:
    total_ms = options.feed_latency_ms + options.order_latency_ms
    jitter = f" plus up to {options.latency_jitter_ms:g} ms at random" if options.latency_jitter_ms else ""
    return (
        f"Latency: a request meets the market, and is answered, {total_ms:g} ms after it is sent "
        f"(order {options.order_latency_ms:g} ms + feed {options.feed_latency_ms:g} ms){jitter}."
    )


def _fee_asset_words(options: SimulatedOptions) -> str:
    if options.fee_asset in {"quote", "base"}:
        return f"the {options.fee_asset} asset"
    return f"{options.fee_asset} at a fixed {options.fee_asset_price_quote} quote units"
