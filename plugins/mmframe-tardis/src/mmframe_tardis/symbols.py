"""Which market a row belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.domain.instrument import Instrument

__all__ = ["SymbolMap"]


class SymbolMap:
    """From exchange and symbol of a row to the index of a market; symbols compare without case.

    Args:
        instruments: The strategy's markets.
        entries: `SYMBOL=BASE/QUOTE` or `exchange:SYMBOL=BASE/QUOTE`; a market named here has these rows only.

    Raises:
        DomainError: If an entry cannot be read, names no market of the strategy, or two markets claim the same rows.
    """

    def __init__(self, instruments: Sequence[Instrument], entries: Sequence[str] = ()) -> None:
        self._instruments = tuple(instruments)
        self._market_of: dict[tuple[str, str], int] = {}
        self._exchange_of: dict[int, str] = {}
        markets = {instrument.symbol: index for index, instrument in enumerate(instruments)}
        named = set()
        for entry in entries:
            rows, _, symbol = entry.partition("=")
            exchange, _, row_symbol = rows.rpartition(":")
            if not row_symbol.strip() or symbol.strip() not in markets:
                msg = f"symbols: expected 'SYMBOL=BASE/QUOTE' with one of {sorted(markets)}, was {entry!r}"
                raise DomainError(msg)
            market = markets[symbol.strip()]
            named.add(market)
            self._claim(exchange.strip(), row_symbol.strip(), market)
        for market, instrument in enumerate(instruments):
            if market not in named:
                self._claim("", instrument.venue_symbol, market)

    def market(self, exchange: str, symbol: str) -> int | None:
        """Return the market of such rows, None when it is none of ours.

        Raises:
            DomainError: If rows of another exchange were given to the same market before.
        """
        upper = symbol.upper()
        market = self._market_of.get((exchange.lower(), upper), self._market_of.get(("", upper)))
        if market is None:
            return None
        first = self._exchange_of.setdefault(market, exchange)
        if first != exchange:
            ours = self._instruments[market].symbol
            msg = f"{ours}: rows of {symbol!r} come from two exchanges, {first!r} and {exchange!r}"
            raise DomainError(msg, hint=f'choose one: symbols = ["{first}:{symbol}={ours}"]')
        return market

    def wanted(self) -> str:
        """Return the symbols looked for, for messages."""
        return ", ".join((f"{exchange}:" if exchange else "") + symbol for exchange, symbol in sorted(self._market_of))

    def _claim(self, exchange: str, symbol: str, market: int) -> None:
        key = (exchange.lower(), symbol.upper())
        other = self._market_of.setdefault(key, market)
        if other != market:
            names = f"{self._instruments[other].symbol} and {self._instruments[market].symbol}"
            msg = f"symbols: {names} both take the rows of {symbol!r}"
            raise DomainError(msg, hint="give each market its own venue_symbol, or name its rows in `symbols`")
