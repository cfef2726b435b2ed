"""The command `mmframe venue`: runs one dialect until it is interrupted, and says how to connect to it."""

from __future__ import annotations

import json
import signal
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import anyio
import attrs
import click

from mmframe.domain.instrument import InstrumentKind
from mmframe.errors import UsageError
from mmframe_localvenue import DIALECTS

if TYPE_CHECKING:
    from mmframe_localvenue.core import LocalVenue, MarketSetup, Urls, VenueSetup

__all__ = ["venue"]

_EPILOG = """\b
Examples:
  mmframe venue binance-spot
  mmframe venue binance-spot --port 8080 --symbol BTC/USDT=50000 --symbol ETH/USDT=2000
  mmframe venue binance-spot --still --json
  mmframe venue bybit --symbol BTC/USDT=50000
"""
_SYMBOLS = ("BTC/USDT=50000", "ETH/USDT=2500")
_KEY = "local-key:local-secret"
_TICKS_OF_PRICE = 5_000_000
"""The tick is the power of ten next to the price divided by this: 0.01 at 50000."""
_FINEST = Decimal("1e-8")
"""Exchanges write prices with eight decimals."""
_CROWD_VALUE = Decimal(1_000)
"""Median value of a background order, quote units."""


@attrs.frozen
class _Wiring:
    """How a strategy file points a plugin at a dialect: option names and the address that each takes.

    An address is named by its field of `Urls`, with a path below it where the plugin wants one: `stream/linear`.
    """

    use: str
    feed: dict[str, str]
    venue: dict[str, str]
    kinds: tuple[InstrumentKind | None, ...] = (None,)
    """Each symbol is opened once for each; None is the dialect's own kind."""


_WIRING = {
    "binance-spot": _Wiring(
        "binance/spot",
        feed={"rest_url": "rest", "stream_url": "stream"},
        venue={"rest_url": "rest", "ws_api_url": "ws_api"},
    ),
    "binance-usdm": _Wiring(
        "binance/usdm",
        feed={"rest_url": "rest", "stream_url": "stream"},
        venue={"rest_url": "rest", "stream_url": "stream"},
    ),
    "bybit": _Wiring(
        "bybit/linear",
        feed={"stream_url": "stream/linear"},
        venue={"rest_url": "rest", "private_stream_url": "private", "trade_stream_url": "ws_api"},
        kinds=(InstrumentKind.LINEAR, InstrumentKind.SPOT),
    ),
}


@click.command(epilog=_EPILOG)
@click.argument("dialect", type=click.Choice(sorted(DIALECTS)))
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="Port on 127.0.0.1; 0 takes a free one.")
@click.option(
    "--symbol",
    "symbols",
    multiple=True,
    metavar="BASE/QUOTE=PRICE",
    help="A market and its first price; repeatable. Default: BTC/USDT and ETH/USDT.",
)
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="KEY:SECRET",
    help=f"A made-up API key of the account, for HMAC; repeatable. Default: {_KEY}.",
)
@click.option("--can-withdraw", is_flag=True, help="Let the keys withdraw, which `mmframe doctor` must refuse.")
@click.option("--still", is_flag=True, help="Nobody trades by himself: a still book.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the crowd.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON with the addresses instead.")
def venue(  # noqa: PLR0913, PLR0917 - click hands each option over
    dialect: str,
    port: int,
    symbols: tuple[str, ...],
    keys: tuple[str, ...],
    can_withdraw: bool,  # noqa: FBT001
    still: bool,  # noqa: FBT001
    seed: int,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Run a venue on this machine that speaks an exchange's protocols, until Ctrl+C.

    A matching engine with a crowd of synthetic traders stands behind it. It is for trying strategies and clients out:
    the keys are made up, the money is not there, and only this machine can connect.
    """
    pairs = tuple(_pair(text, "--key", ":", "KEY:SECRET") for text in keys or (_KEY,))
    setup = _setup(dialect, symbols or _SYMBOLS, pairs, can_withdraw=can_withdraw, is_still=still)
    anyio.run(_run, attrs.evolve(setup, port=port, seed=seed), pairs[0], as_json, backend="asyncio")


async def _run(setup: VenueSetup, pair: tuple[str, str], as_json: bool) -> None:  # noqa: FBT001
    from mmframe_localvenue.core import LocalVenue  # noqa: PLC0415 - `mmframe venue --help` loads no server

    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        try:
            async with LocalVenue(setup) as opened:
                click.echo(_line(opened, pair) if as_json else _text(opened, pair))
                async for _ in signals:
                    return
        except OSError as error:
            msg = f"--port: cannot listen on {setup.host}:{setup.port}: {error.strerror or error}"
            raise UsageError(msg, hint="choose another, or 0 for a free one") from error


def _setup(
    dialect: str,
    symbols: tuple[str, ...],
    keys: tuple[tuple[str, str], ...],
    *,
    can_withdraw: bool,
    is_still: bool,
) -> VenueSetup:
    from mmframe_localvenue.core import AccountSetup, ApiKey, Permission, VenueSetup  # noqa: PLC0415

    kinds = _WIRING[dialect].kinds if dialect in _WIRING else (None,)
    markets = tuple(
        attrs.evolve(market, kind=kind)
        for market in (_market(text, is_still=is_still) for text in symbols)
        for kind in kinds
    )
    permissions = frozenset(Permission) if can_withdraw else frozenset({Permission.READ, Permission.TRADE})
    balances: dict[str, Decimal] = {}
    for market in markets:
        instrument = market.instrument()
        balances[instrument.quote] = Decimal(1_000_000)
        balances.setdefault(instrument.base, _round(Decimal(100_000) / market.price))
    account = AccountSetup(
        keys=tuple(ApiKey(key, secret, permissions=permissions) for key, secret in keys), balances=balances
    )
    return VenueSetup(dialect=dialect, markets=markets, accounts=(account,))


def _market(text: str, *, is_still: bool) -> MarketSetup:
    from mmframe_localvenue.core import CrowdSetup, MarketSetup  # noqa: PLC0415

    symbol, price_text = _pair(text, "--symbol", "=", "BASE/QUOTE=PRICE")
    try:
        price = Decimal(price_text)
    except InvalidOperation:
        price = Decimal(0)
    if not price.is_finite() or price <= 0:
        msg = f"--symbol: expected a price above 0 behind {symbol}=, was {price_text!r}"
        raise UsageError(msg)
    tick = max(_FINEST, Decimal(1).scaleb((price / _TICKS_OF_PRICE).adjusted()))
    lot = Decimal(1).scaleb((Decimal("0.5") / price).adjusted())
    price = price // tick * tick
    size = max(lot, _CROWD_VALUE / price // lot * lot)
    return MarketSetup(
        symbol=symbol,
        price=price,
        tick_size=tick,
        lot_size=lot,
        min_price=tick,
        max_price=price * 20,
        min_size=lot,
        max_size=lot * 10**9,
        crowd=None if is_still else CrowdSetup(typical_size=size),
        still_size=size * 10,
    )


def _pair(text: str, option: str, separator: str, shape: str) -> tuple[str, str]:
    first, found, second = text.partition(separator)
    if not (first and found and second):
        msg = f"{option}: expected {shape}, was {text!r}"
        raise UsageError(msg)
    return first, second


def _round(amount: Decimal) -> Decimal:
    return amount.quantize(Decimal("1e-8")).normalize()


def _line(opened: LocalVenue, pair: tuple[str, str]) -> str:
    answer: dict[str, Any] = {
        "dialect": opened.setup.dialect,
        "rest_url": opened.rest_url,
        "stream_url": opened.stream_url,
        "ws_api_url": opened.ws_api_url,
        "private_url": opened.private_url,
        "api_key": pair[0],
        "api_secret": pair[1],
        "symbols": list(dict.fromkeys(market.symbol for market in opened.setup.markets)),
    }
    return json.dumps(answer)


def _text(opened: LocalVenue, pair: tuple[str, str]) -> str:
    urls = attrs.asdict(opened.urls)
    lines = [f"{opened.setup.dialect} on this machine until Ctrl+C", ""]
    lines += [f"  {name:<8} {url}" for name, url in urls.items() if url]
    lines += ["", f"  key      {pair[0]}   (made up, as is its secret)", f"  secret   {pair[1]}", ""]
    wiring = _WIRING.get(opened.setup.dialect)
    if wiring is not None:
        lines += _strategy(opened, wiring, opened.urls, pair)
    return "\n".join(lines)


def _strategy(opened: LocalVenue, wiring: _Wiring, urls: Urls, pair: tuple[str, str]) -> list[str]:
    """Return a strategy file that leads here, and how to run it."""
    market = opened.setup.markets[0]
    size = max(market.min_notional * 4 / market.price // market.lot_size * market.lot_size, market.lot_size)
    value = size * market.price
    return [
        "A strategy file to paste, say as local.toml:",
        "",
        "schema = 1",
        "",
        "[strategy]",
        'name = "local"',
        "",
        "[run]",
        'mode = "live"',
        "",
        "[[markets]]",
        f'instrument = "{market.symbol}"',
        f'order_size = "{format(size, "f")}"',
        f'tick_size = "{format(market.tick_size, "f")}"',
        f'lot_size = "{format(market.lot_size, "f")}"',
        "",
        "[feed]",
        f'use = "{wiring.use}"',
        "stale_after_ms = 2000",
        *(f'{option} = "{_address(urls, name)}"' for option, name in wiring.feed.items()),
        "",
        "[[optimizer]]",
        'use = "fixed-spread"',
        "",
        "[gate]",
        f'max_order_size = "{format(size * 2, "f")}"',
        f'max_order_notional_quote = "{value * 3:.0f}"',
        f'max_position = "{format(size * 10, "f")}"',
        f'max_position_notional_quote = "{value * 15:.0f}"',
        f'max_daily_loss_quote = "{value * 10:.0f}"',
        "",
        "[venue.live]",
        f'use = "{wiring.use}"',
        *(f'{option} = "{_address(urls, name)}"' for option, name in wiring.venue.items()),
        'api_key = { env = "LOCAL_API_KEY" }',
        'api_secret = { env = "LOCAL_API_SECRET" }',
        "",
        "Then, in another shell:",
        "",
        f"export LOCAL_API_KEY={pair[0]} LOCAL_API_SECRET={pair[1]}",
        "mmframe doctor local.toml",
        "mmframe run local.toml --yes-live --for 60s",
    ]


def _address(urls: Urls, name: str) -> str:
    field, slash, rest = name.partition("/")
    return f"{getattr(urls, field)}{slash}{rest}"
