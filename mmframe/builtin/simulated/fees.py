"""What an execution costs, exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import attrs

from mmframe.errors import DomainError

if TYPE_CHECKING:
    from mmframe.builtin.simulated.options import SimulatedOptions
    from mmframe.domain.instrument import Instrument

__all__ = ["FeeSchedule"]

_BPS = Decimal("0.0001")
_OTHER_ASSET_STEP = Decimal("1e-12")
"""A fee converted at a price may not end; it is rounded to this step, half to even."""


@attrs.frozen
class FeeSchedule:
    """Fees of one instrument.

    Attributes:
        asset: What fees are paid in.
        in_base: Fees are a share of the size, not of the value.
        asset_price_quote: Quote units per unit of `asset` when it is neither base nor quote, else None.
    """

    instrument: Instrument
    maker_bps: Decimal
    taker_bps: Decimal
    asset: str
    in_base: bool
    asset_price_quote: Decimal | None

    @classmethod
    def from_options(cls, options: SimulatedOptions, instrument: Instrument) -> FeeSchedule:
        """Return the schedule that `options` give `instrument`.

        Raises:
            DomainError: If `fee_asset` is another asset and has no price.
        """
        named = {"quote": instrument.quote, "base": instrument.base}.get(options.fee_asset, options.fee_asset)
        is_foreign = named not in {instrument.quote, instrument.base}
        if is_foreign and options.fee_asset_price_quote is None:
            msg = f"fee_asset: {named!r} is neither base nor quote of {instrument.symbol} and has no price"
            raise DomainError(
                msg,
                hint=f'say fee_asset_price_quote (in {instrument.quote} per {named}), or fee_asset = "quote"',
            )
        return cls(
            instrument=instrument,
            maker_bps=options.maker_fee_bps,
            taker_bps=options.taker_fee_bps,
            asset=named,
            in_base=named == instrument.base,
            asset_price_quote=options.fee_asset_price_quote if is_foreign else None,
        )

    def fee(self, price_ticks: int, size_lots: int, *, is_maker: bool) -> Decimal:
        """Return the fee in `asset`; positive is paid, negative is a rebate."""
        bps = self.maker_bps if is_maker else self.taker_bps
        if self.in_base:
            return self.instrument.size(size_lots) * bps * _BPS
        fee_quote = self.instrument.notional_quote(price_ticks, size_lots) * bps * _BPS
        if self.asset_price_quote is None:
            return fee_quote
        return (fee_quote / self.asset_price_quote).quantize(_OTHER_ASSET_STEP)
