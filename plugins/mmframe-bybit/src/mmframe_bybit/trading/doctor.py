"""What `mmframe doctor` looks at before anything is traded. It places nothing and changes nothing."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import anyio

from mmframe.domain.findings import Finding, FindingLevel
from mmframe.errors import MmframeError
from mmframe.net.timing import Timing
from mmframe_bybit.trading.account import Account, AskError, grid_problems
from mmframe_bybit.trading.auth import Credentials
from mmframe_bybit.trading.limits import Endpoint, Limits
from mmframe_bybit.trading.messages import sane_decimal
from mmframe_bybit.trading.options import addresses
from mmframe_bybit.trading.outcome import Accepted
from mmframe_bybit.trading.rest import RestClient
from mmframe_bybit.wire import FrameError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mmframe.plugin import BuildContext
    from mmframe_bybit.trading.options import VenueOptions

__all__ = ["examine"]

_MS = 1_000_000
_SKEW_WARNING_MS = 250
_FUTURE_LIMIT_MS = 1000
"""The exchange refuses what is further ahead of its own clock."""

_EXPIRY_WARNING_DAYS = 14
_OK, _WARNING, _FAILED = FindingLevel.OK, FindingLevel.WARNING, FindingLevel.FAILED


async def examine(
    category: str,
    options: VenueOptions,
    context: BuildContext,
    *,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
) -> Sequence[Finding]:
    """Ask the exchange whether a run can work and return what was found; what fails is a finding."""
    timing = Timing(context.clock, sleep)
    try:
        where = addresses(options)
        credentials = Credentials(options.api_key, options.api_secret, recv_window_ms=options.recv_window_ms)
    except MmframeError as error:
        return [Finding("configuration", _FAILED, error.message, error.hint or "")]
    limits = Limits(category, timing)
    async with RestClient(
        where.rest, credentials, limits=limits, timing=timing, timeout_s=options.request_timeout_s
    ) as rest:
        examination = _Examination(Account(category, rest, context.instruments), options, timing)
        return await examination.run(where.rest)


class _Examination:
    def __init__(self, account: Account, options: VenueOptions, timing: Timing) -> None:
        self._account = account
        self._options = options
        self._timing = timing
        self._findings: list[Finding] = []

    async def run(self, url: str) -> list[Finding]:
        if not await self._is_reachable(url):
            return self._findings
        for subject, look in (
            ("key permissions", self._key),
            ("account mode", self._mode),
            ("prices out of limits", self._price_limits),
            ("cancel on disconnect", self._dcp),
        ):
            await self._look(subject, look)
        for market, instrument in enumerate(self._account.instruments):
            await self._look_at_market(market, instrument.symbol)
        self._rate_limits()
        return self._findings

    async def _is_reachable(self, url: str) -> bool:
        """Tell whether the exchange answers at all; say how its clock stands."""
        try:
            outcome = await self._account.rest.read_clock()
            reason = "" if isinstance(outcome, Accepted) else outcome.reason
        except FrameError as error:
            reason = error.message
        if reason:
            hint = "check network, environment and, for some countries, whether the exchange serves the address"
            self._say("reachability", _FAILED, f"{url}: {reason}", hint)
            return False
        clock = self._account.rest.clock
        trip_ms = 2 * clock.uncertainty_ns / _MS
        self._say("reachability", _OK, f"{url} answered in {trip_ms:.0f} ms")
        skew_ms = clock.ahead_ns / _MS
        text = f"the exchange's clock is {skew_ms:+.0f} ms from ours (±{trip_ms / 2:.0f} ms); the venue allows for it"
        is_small = abs(skew_ms) <= _SKEW_WARNING_MS
        hint = "synchronise this machine's clock (NTP): times of fills and market data are compared"
        # Ours ahead of theirs is refused beyond a second, behind beyond the window.
        is_refused = skew_ms < -_FUTURE_LIMIT_MS or skew_ms > self._options.recv_window_ms
        level = _OK if is_small else _WARNING
        if is_refused:
            text += f"; uncorrected it would be refused (limit {_FUTURE_LIMIT_MS} ms)"
        self._say("clock skew", level, text, "" if is_small else hint)
        return True

    async def _key(self) -> None:
        key = await self._account.key()
        category = self._account.category
        if key.may_withdraw:
            text = "the key can withdraw; expected one that cannot"
            self._say("key permissions", _FAILED, text, "make a key with trading permissions alone")
        if not key.may_trade(category):
            kind = "is read-only" if key.read_only else f"has no permission to trade {category}"
            hint = "allow orders of this product and positions, and nothing else"
            self._say("key permissions", _FAILED, f"the key {kind}; expected one that can place orders", hint)
        elif not key.may_withdraw:
            self._say("key permissions", _OK, f"the key can trade {category} and cannot withdraw")
        if not key.ips or "*" in key.ips:
            text = "the key works from every address"
            if key.deadline_day:
                text += f" and ends in {key.deadline_day} days"
            self._say("key addresses", _WARNING, text, "bind the key to this machine's address")
        elif 0 < key.deadline_day <= _EXPIRY_WARNING_DAYS:
            self._say("key expiry", _WARNING, f"the key ends in {key.deadline_day} days", "renew it in time")
        else:
            self._say("key addresses", _OK, f"the key is bound to {len(key.ips)} addresses")

    async def _mode(self) -> None:
        info = await self._account.info()
        if info.is_unified:
            self._say("account mode", _OK, f"unified trading account, {info.margin_mode or 'margin mode not told'}")
        else:
            text = f"expected a unified trading account, was mode {info.unified_margin_status}"
            self._say("account mode", _FAILED, text, "upgrade the account")

    async def _price_limits(self) -> None:
        limits = await self._account.price_limits()
        if limits.moves_prices(self._account.category):
            text = "the exchange moves orders out of its price limits instead of refusing them"
            hint = "a live run changes this account setting when it starts; or set it by hand"
            self._say("prices out of limits", _WARNING, text, hint)
        else:
            self._say("prices out of limits", _OK, "orders out of the price limits are refused, not moved")

    async def _dcp(self) -> None:
        wanted = self._options.disconnect_cancel_s
        info = await self._account.dcp()
        if info is not None and wanted is not None:
            self._say("cancel on disconnect", _OK, f"the account has it; a run sets {wanted} s")
        elif info is not None:
            text = f"the account has it ({info.time_window} s) and the strategy does not use it"
            self._say("cancel on disconnect", _WARNING, text, "set disconnect_cancel_s")
        elif wanted is not None:
            text = "disconnect_cancel_s is set, and the account has no cancel on disconnect (DCP)"
            self._say("cancel on disconnect", _FAILED, text, "leave the option out, or ask the exchange for it")
        else:
            text = "the account has none: when this machine is gone its orders stay; `mmframe kill` works from another"
            self._say("cancel on disconnect", _OK, text)

    async def _look_at_market(self, market: int, symbol: str) -> None:
        for subject, look in (
            ("instrument", self._instrument),
            ("fees", self._fees),
            ("open orders", self._open_orders),
            ("position", self._position),
        ):
            await self._look(f"{subject} {symbol}", partial(look, market, symbol))

    async def _instrument(self, market: int, symbol: str) -> None:
        ours = self._account.instruments[market]
        listed = await self._account.listed_instrument(market)
        subject = f"instrument {symbol}"
        if isinstance(listed, str):
            self._say(subject, _FAILED, listed, "set venue_symbol of the market")
            return
        problems = grid_problems(listed, ours)
        if problems:
            self._say(subject, _FAILED, "; ".join(problems), "set tick_size and lot_size to the exchange's steps")
            return
        largest = "" if listed.max_size_lots is None else f", largest {listed.size(listed.max_size_lots)}"
        text = (
            f"tick {listed.tick_size:f}, lot {listed.lot_size:f}, smallest {listed.size(listed.min_size_lots)}{largest}"
            f" {listed.base}, at least {listed.min_notional_quote:f} {listed.quote}"
        )
        self._say(subject, _OK, text)

    async def _fees(self, market: int, symbol: str) -> None:
        rate = await self._account.fee_rate(market)
        if rate is None:
            self._say(f"fees {symbol}", _WARNING, "the exchange told none", "look at the account's fee page")
            return
        maker, taker = (
            10_000 * sane_decimal(text or "0", "fee rate") for text in (rate.maker_fee_rate, rate.taker_fee_rate)
        )
        self._say(f"fees {symbol}", _OK, f"maker {_plain(maker)} bps, taker {_plain(taker)} bps")

    async def _open_orders(self, market: int, symbol: str) -> None:
        count = len(await self._account.open_orders(market))
        if count:
            text = f"{count} orders are open in {symbol}"
            hint = "a run deals with those of its own strategy; cancel the others if they are not meant"
            self._say(f"open orders {symbol}", _WARNING, text, hint)
        else:
            self._say(f"open orders {symbol}", _OK, "none")

    async def _position(self, market: int, symbol: str) -> None:
        if self._account.category != "linear":
            return
        rows = await self._account.positions(market)
        subject = f"position {symbol}"
        if any(row.position_idx for row in rows):
            self._say(subject, _FAILED, "expected one-way mode, was hedge mode", "switch the symbol to one-way mode")
            return
        held = [row for row in rows if sane_decimal(row.size or "0", "size")]
        if held:
            self._say(subject, _WARNING, f"{held[0].side} {held[0].size}", "see [live] on_position")
        else:
            self._say(subject, _OK, "none, one-way mode")

    def _rate_limits(self) -> None:
        limits = self._account.rest.limits
        create, amend, cancel = (
            limits.allowed(endpoint) for endpoint in (Endpoint.CREATE, Endpoint.AMEND, Endpoint.CANCEL)
        )
        text = (
            f"{create} new orders, {amend} changes and {cancel} cancels a second, until the exchange's answers say "
            f"otherwise; more than {min(create, amend)} in gate.max_orders_per_second may have quotes refused unsent"
        )
        self._say("rate limits", _OK, text)

    async def _look(self, subject: str, look: Callable[[], Awaitable[None]]) -> None:
        try:
            await look()
        except AskError as error:
            level = _FAILED if error.is_fatal or not error.is_answered else _WARNING
            self._say(subject, level, str(error), "see the page of Bybit return codes" if error.is_answered else "")
        except FrameError as error:
            self._say(subject, _FAILED, error.message)

    def _say(self, subject: str, level: FindingLevel, text: str, hint: str = "") -> None:
        self._findings.append(Finding(subject, level, text, hint))


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
