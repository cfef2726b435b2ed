"""What `mmframe doctor` looks at before anything is traded. It places nothing and changes nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from mmframe.domain.findings import Finding, FindingLevel
from mmframe.errors import MmframeError
from mmframe.net.http import HttpLimits, HttpSession
from mmframe.net.timing import Timing
from mmframe_binance.trading.calls import (
    SPOT_KEY_RIGHTS,
    USDM_ACCOUNT_CONFIG,
    USDM_POSITION_MODE,
    USDM_POSITIONS,
)
from mmframe_binance.trading.client import Client, Done
from mmframe_binance.trading.clock import ClockOffset
from mmframe_binance.trading.connected import measure_clock
from mmframe_binance.trading.filters import SymbolRules
from mmframe_binance.trading.hosts import SPOT_HOSTS, USDM_HOSTS, chosen_url
from mmframe_binance.trading.limits import TradingLimits
from mmframe_binance.trading.options import SpotTradingOptions, UsdmTradingOptions
from mmframe_binance.trading.orders import OUR_PREFIX, own_id
from mmframe_binance.trading.signing import make_signer
from mmframe_binance.trading.telling import amount
from mmframe_binance.trading.wire import (
    ConfigAnswer,
    ExchangeInfo,
    KeyRights,
    OrderAnswer,
    PositionLine,
    PositionMode,
    SpotAccount,
    decoded,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mmframe.domain.instrument import Instrument
    from mmframe.plugin import BuildContext
    from mmframe_binance.trading.calls import Call
    from mmframe_binance.trading.connected import TradingProduct

__all__ = ["examine"]

_T = TypeVar("_T")
_SKEW_LIMIT_MS = 1000.0
"""The exchange refuses what is further ahead of its own clock."""

_SKEW_WARNING_MS = 250.0
_TRADING = "TRADING"
_OK, _WARNING, _FAILED = FindingLevel.OK, FindingLevel.WARNING, FindingLevel.FAILED
_RESTRICT = "make a key for trading alone, without the right to withdraw"


class _AskError(Exception):
    """The exchange did not answer a question as it should."""


async def examine(
    product: TradingProduct,
    options: SpotTradingOptions | UsdmTradingOptions,
    context: BuildContext,
    *,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Sequence[Finding]:
    """Ask the exchange whether a run can work and return what was found; what fails is a finding.

    Args:
        product: Spot or USDⓈ-M.
        options: From the strategy file.
        context: Gives markets and clock.
        sleep: How to wait.
    """
    timing = Timing(context.clock, sleep)
    hosts = (SPOT_HOSTS if isinstance(options, SpotTradingOptions) else USDM_HOSTS)[options.environment]
    try:
        url = chosen_url("rest_url", options.rest_url, hosts.rest_urls, options.environment)
        signer = make_signer(options.key_type, options.api_secret)
        key = options.api_key.reveal()
    except MmframeError as error:
        return [Finding("configuration", _FAILED, error.message, error.hint or "")]
    clock = ClockOffset()
    limits = HttpLimits(total_s=options.request_timeout_s)
    async with HttpSession(url, timing=timing, proxy=options.proxy_url, limits=limits) as http:
        client = Client(
            http,
            timing=timing,
            clock=clock,
            limits=TradingLimits(product.weight_a_minute, product.orders),
            errors=product.errors,
            recv_window_ms=options.recv_window_ms,
            timeout_s=options.request_timeout_s,
        )
        client.use_key(key, signer)
        async with HttpSession(
            _rights_url(options, url), timing=timing, proxy=options.proxy_url, limits=limits
        ) as other:
            rights = client.at(other)
            return await _Examination(product, client, rights, clock, timing, context.instruments).run(url)


def _rights_url(options: SpotTradingOptions | UsdmTradingOptions, url: str) -> str:
    """Return where a key's own rights can be asked: of the exchange proper at its spot host, elsewhere where we are."""
    is_proper = options.environment == "live" and options.rest_url is None
    return SPOT_HOSTS["live"].rest_urls[0] if is_proper else url


class _Examination:
    """One look at everything, question by question; what cannot be asked is a finding too."""

    def __init__(  # noqa: PLR0913, PLR0917 - what is asked, by whom, of which markets
        self,
        product: TradingProduct,
        client: Client,
        rights: Client,
        clock: ClockOffset,
        timing: Timing,
        instruments: tuple[Instrument, ...],
    ) -> None:
        self._product = product
        self._client = client
        self._rights = rights
        self._clock = clock
        self._timing = timing
        self._instruments = instruments
        self._findings: list[Finding] = []

    async def run(self, url: str) -> list[Finding]:
        reason = await measure_clock(self._client, self._product.calls.time, self._clock, self._timing)
        if reason:
            hint = "check the network, the environment and, in some countries, whether the exchange serves the address"
            self._say("reachability", _FAILED, f"{url}: {reason}", hint)
            return self._findings
        self._say("reachability", _OK, f"{url} answered in {self._clock.round_trip_ms:.0f} ms")
        self._skew()
        looks: tuple[tuple[str, Callable[[], Awaitable[None]]], ...]
        looks = (("markets", self._markets), ("key permissions", self._key))
        if self._product.name == "usdm":
            looks += (("account mode", self._mode), ("position", self._positions))
        for subject, look in (*looks, ("open orders", self._open_orders)):
            try:
                await look()
            except (_AskError, MmframeError) as error:
                self._say(subject, _FAILED, str(error), "see the reference of the exchange's error codes")
        return self._findings

    def _skew(self) -> None:
        skew_ms = self._clock.offset_ms
        text = f"the exchange is {skew_ms:+.0f} ms from us, good to {self._clock.round_trip_ms / 2:.0f} ms; allowed for"
        if abs(skew_ms) <= _SKEW_WARNING_MS:
            self._say("clock skew", _OK, text)
            return
        if abs(skew_ms) > _SKEW_LIMIT_MS:
            text += f"; without that it would be refused (limit {_SKEW_LIMIT_MS:.0f} ms ahead)"
        self._say(
            "clock skew", _WARNING, text, "set this machine's clock by NTP: times of fills are compared with ours"
        )

    async def _markets(self) -> None:
        symbols = [instrument.venue_symbol.upper() for instrument in self._instruments]
        fields = {"symbols": msgspec.json.encode(symbols).decode()} if self._product.takes_symbols else {}
        info = await self._ask(self._product.calls.exchange_info, fields, ExchangeInfo)
        listed = {each.symbol: each for each in info.symbols}
        for symbol, instrument in zip(symbols, self._instruments, strict=True):
            if symbol not in listed:
                hint = "venue_symbol in [[markets]] gives it the exchange's name"
                self._say("market", _FAILED, f"{instrument.symbol}: the exchange lists no {symbol}", hint)
                continue
            self._market(SymbolRules.of(listed[symbol]), instrument)
        limits = ", ".join(
            f"{each.limit} {each.rate_limit_type.lower()} per {each.interval_num} {each.interval.lower()}"
            for each in info.rate_limits
        )
        self._say("rate limits", _OK, limits or "none told")

    def _market(self, rules: SymbolRules, instrument: Instrument) -> None:
        problems = list(rules.grid_problems(instrument))
        subject = f"grid of {instrument.symbol}"
        if problems:
            self._say(subject, _FAILED, "; ".join(problems), "set them in [[markets]] to what the exchange says")
        else:
            self._say(subject, _OK, f"tick {_plain(rules.tick_size)}, lot {_plain(rules.step_size)}, as the exchange's")
        text = f"size {_plain(rules.size_min)} to {_plain(rules.size_max)}, notional from {_plain(rules.notional_min)}"
        is_told = instrument.min_notional_quote in {Decimal(0), rules.notional_min}
        hint = "" if is_told else f"the strategy's min_notional is {_plain(instrument.min_notional_quote)}"
        self._say(f"filters of {instrument.symbol}", _OK if is_told else _WARNING, text, hint)
        if rules.status != _TRADING:
            hint = "orders are refused until the exchange opens the market"
            self._say(f"status of {instrument.symbol}", _FAILED, f"expected {_TRADING}, was {rules.status}", hint)

    async def _key(self) -> None:
        """Ask for the key's own rights; where that cannot be asked, take the account's for a hint."""
        outcome = await self._rights.ask(SPOT_KEY_RIGHTS, {})
        if not isinstance(outcome, Done):
            await self._account_rights()
            return
        rights = decoded(outcome.data, KeyRights, "key rights")
        can_trade = rights.enable_futures if self._product.name == "usdm" else rights.enable_spot_and_margin_trading
        if rights.enable_withdrawals:
            self._say("key permissions", _FAILED, "expected a key that cannot withdraw, was one that can", _RESTRICT)
        if not can_trade:
            text = f"expected a key that can trade {self._product.name}, was one that cannot"
            self._say("key permissions", _FAILED, text, "allow it for the key, and nothing else")
        elif not rights.enable_withdrawals:
            self._say("key permissions", _OK, "the key can trade and cannot withdraw")
        if not rights.ip_restrict:
            self._say("key addresses", _WARNING, "the key works from everywhere", "restrict it to this address")

    async def _account_rights(self) -> None:
        kind: type[ConfigAnswer | SpotAccount]
        call, kind = self._product.calls.account, SpotAccount
        if self._product.name == "usdm":
            call, kind = USDM_ACCOUNT_CONFIG, ConfigAnswer
        account = await self._ask(call, {}, kind)
        if not account.can_trade:
            text = "expected an account that can trade, was one that cannot"
            self._say("key permissions", _FAILED, text, "allow trading for the key or the account")
        elif account.can_withdraw:
            text = "the account can withdraw; whether the key can is not told here"
            self._say("key permissions", _WARNING, text, _RESTRICT)
        else:
            self._say("key permissions", _OK, "the account can trade and cannot withdraw")

    async def _mode(self) -> None:
        mode = await self._ask(USDM_POSITION_MODE, {}, PositionMode)
        if mode.dual_side_position:
            hint = "switch the futures account to one-way mode"
            self._say("account mode", _FAILED, "expected one-way mode, was hedge mode", hint)
        else:
            self._say("account mode", _OK, "one-way")

    async def _positions(self) -> None:
        for instrument in self._instruments:
            symbol = instrument.venue_symbol.upper()
            lines = await self._ask(USDM_POSITIONS, {"symbol": symbol}, list[PositionLine])
            amounts = [line.position_amt for line in lines if line.symbol == symbol and amount(line.position_amt)]
            subject = f"position in {instrument.symbol}"
            if amounts:
                hint = "on_position in [live] says what a start does with it"
                self._say(subject, _WARNING, f"{', '.join(amounts)} {instrument.base}", hint)
            else:
                self._say(subject, _OK, "none")

    async def _open_orders(self) -> None:
        for instrument in self._instruments:
            fields = {"symbol": instrument.venue_symbol.upper()}
            orders = await self._ask(self._product.calls.open_orders, fields, list[OrderAnswer])
            ours = sum(own_id(order.client_order_id).startswith(OUR_PREFIX) for order in orders)
            text = f"{len(orders)} in {instrument.symbol}, {ours} of them placed by mmframe"
            hint = "a market belongs to one run: its clean-up cancels every order of the account in it"
            self._say("open orders", _WARNING if orders else _OK, text, hint if orders else "")

    async def _ask(self, call: Call, fields: Mapping[str, str], kind: type[_T]) -> _T:
        outcome = await self._client.ask(call, fields)
        if not isinstance(outcome, Done):
            raise _AskError(outcome.reason)
        return decoded(outcome.data, kind, call.path)

    def _say(self, subject: str, level: FindingLevel, text: str, hint: str = "") -> None:
        self._findings.append(Finding(subject, level, text, hint))


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
