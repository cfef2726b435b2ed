"""What a local venue is made of, said once before it opens: markets, accounts, keys, crowd.

Money and sizes are exact decimals in the units of their asset; the grid turns them into ticks and lots.
"""

from __future__ import annotations

from decimal import Decimal
from enum import Enum

import attrs

from mmframe.domain.instrument import Instrument, InstrumentKind
from mmframe.errors import DomainError
from mmframe.net.timing import Timing
from mmframe.ports import History

__all__ = [
    "AccountSetup",
    "ApiKey",
    "CrowdSetup",
    "KeyPermissions",
    "MarketSetup",
    "Permission",
    "VenueSetup",
]

_LOOPBACK = ("127.0.0.1", "::1")


class Permission(Enum):
    """What a key may do."""

    READ = "read"
    TRADE = "trade"
    WITHDRAW = "withdraw"


KeyPermissions = frozenset[Permission]


@attrs.frozen
class ApiKey:
    """A made-up key of a local account.

    Attributes:
        key: What the client sends with each request.
        secret: Shared secret for HMAC; empty for a key that signs otherwise.
        ed25519_public_key: Raw 32 bytes; a key that has one signs with Ed25519.
        permissions: What it may do.
    """

    key: str = "local-key"
    secret: str = attrs.field(default="local-secret", repr=False)
    ed25519_public_key: bytes | None = None
    permissions: KeyPermissions = frozenset({Permission.READ, Permission.TRADE})


@attrs.frozen
class AccountSetup:
    """One account.

    Attributes:
        name: For the god view, and the owner of its orders in the matching engine.
        keys: Its API keys.
        balances: What it owns at the start, by asset.
        maker_fee: Rate of fills of resting orders; 0.001 is 10 bps, negative is a rebate.
        taker_fee: Rate of fills that take.
        fee_asset: Asset that fees are taken in while the account has enough of it, at `fee_asset_price` (the discount
            token of an exchange); None takes them as the market's kind does: from what is received on spot, in the
            settlement asset on derivatives.
        fee_asset_price: Price of one unit of `fee_asset`, in quote units of every market.
        leverage: Notional per margin on derivatives.
        has_dead_man_switch: Whether the exchange grants it the cancelling of orders on disconnection, where that is a
            privilege.
    """

    name: str = "main"
    keys: tuple[ApiKey, ...] = (ApiKey(),)
    balances: dict[str, Decimal] = attrs.field(
        factory=lambda: {"USDT": Decimal(1_000_000), "BTC": Decimal(10), "ETH": Decimal(100)}
    )
    maker_fee: Decimal = Decimal("0.001")
    taker_fee: Decimal = Decimal("0.001")
    fee_asset: str | None = None
    fee_asset_price: Decimal = Decimal(600)
    leverage: int = 20
    has_dead_man_switch: bool = False


@attrs.frozen
class CrowdSetup:
    """Synthetic traders of one market; see `mmframe docs` of the embedded exchange for what they do.

    Attributes:
        volatility_bps_per_sqrt_s: Of the fundamental price.
        spread_bps: Spread that one background maker quotes.
        makers: Background makers.
        noise_takers_per_s: Market orders that know nothing.
        informed_takers_per_s: Looks of takers who know the fundamental price.
        typical_size: Median size of a background order, base units.
    """

    volatility_bps_per_sqrt_s: float = 1.0
    spread_bps: float = 3.0
    makers: int = 3
    maker_refreshes_per_s: float = 4.0
    noise_takers_per_s: float = 2.0
    informed_takers_per_s: float = 2.0
    patient_orders_per_s: float = 4.0
    typical_size: Decimal = Decimal("0.02")


@attrs.frozen
class MarketSetup:
    """One market: its grid, its filters and what stands in its book at the start.

    Attributes:
        symbol: Unified name, `BASE/QUOTE`; the exchange's own name is the same without the slash.
        kind: How positions settle; None takes the dialect's. Only a dialect whose exchange trades several kinds under
            one roof takes another one.
        price: Where the still book is centred, or the crowd begins.
        max_price: Highest price of an order.
        max_size: Largest order, base units.
        min_notional: Smallest order value, quote units.
        band_up: Highest price relative to the average, as a factor.
        band_down: Lowest price relative to the average, as a factor.
        max_open_orders: Of one account.
        max_amends: Of one order.
        crowd: Who trades here; None leaves a still book that moves only by hand.
        replay: A recording that is the market instead, from its first whole book on, at its own pace; `price`, crowd
            and still book do not count then. Its ticks and lots must be those of this grid.
        replay_index: Which market of the recording.
        still_levels: Orders a side of the still book, one tick apart from one tick away of `price`; 0 leaves it empty.
        still_size: Size of each of them, base units.
    """

    symbol: str = "BTC/USDT"
    kind: InstrumentKind | None = None
    price: Decimal = Decimal(50_000)
    tick_size: Decimal = Decimal("0.01")
    lot_size: Decimal = Decimal("0.00001")
    min_price: Decimal = Decimal("0.01")
    max_price: Decimal = Decimal(1_000_000)
    min_size: Decimal = Decimal("0.00001")
    max_size: Decimal = Decimal(9_000)
    min_notional: Decimal = Decimal(5)
    max_notional: Decimal = Decimal(9_000_000)
    band_up: Decimal = Decimal(5)
    band_down: Decimal = Decimal("0.2")
    max_open_orders: int = 200
    max_amends: int = 10
    crowd: CrowdSetup | None = None
    replay: History | None = None
    replay_index: int = 0
    still_levels: int = 20
    still_size: Decimal = Decimal(1)

    def instrument(self, kind: InstrumentKind = InstrumentKind.SPOT) -> Instrument:
        """Return the market's grid as mmframe knows it.

        Raises:
            DomainError: If the grid or a filter does not fit.
        """
        lots = Instrument(symbol=self.symbol, tick_size=self.tick_size, lot_size=self.lot_size)
        return attrs.evolve(
            lots,
            kind=kind,
            min_size_lots=max(1, lots.size_lots(self.min_size)),
            max_size_lots=lots.size_lots(self.max_size),
            min_notional_quote=self.min_notional,
        )


@attrs.frozen
class VenueSetup:
    """A whole venue.

    Attributes:
        dialect: Which exchange's protocols it speaks: a name of `mmframe_localvenue.DIALECTS`.
        markets: What is traded.
        accounts: Who has keys.
        host: A loopback address; any other is refused, as keys and orders here are nobody's business outside.
        port: 0 takes a free one.
        seed: Of the crowd; the same seed and the same orders at the same times give the same market.
        timing: Time of the venue; None is the machine's. With a clock that a test moves, nothing happens by itself.
        order_limits: Unfilled orders an account may place, as `(seconds, count)`; None takes the dialect's. On Bybit
            the first count is what each kind of order request may come to in a second.
        weight_limit: Request weight per minute and address (on Bybit: requests in five seconds); None takes the
            dialect's.
        socket_lifetime_s: Seconds after which a websocket is warned and closed; None takes the dialect's, a day or so.
    """

    dialect: str = "binance-spot"
    markets: tuple[MarketSetup, ...] = (MarketSetup(),)
    accounts: tuple[AccountSetup, ...] = (AccountSetup(),)
    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 1
    timing: Timing | None = None
    order_limits: tuple[tuple[int, int], ...] | None = None
    weight_limit: int | None = None
    socket_lifetime_s: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.host not in _LOOPBACK:
            msg = f"host: expected a loopback address (127.0.0.1 or ::1), was {self.host!r}"
            raise DomainError(msg, hint="a local venue checks nobody's identity; tunnel to it if you must")
        if not self.markets or not self.accounts:
            msg = "venue: expected at least one market and one account"
            raise DomainError(msg)
        _check_unique("markets", [f"{market.symbol} {market.kind}" for market in self.markets])
        _check_unique("accounts", [account.name for account in self.accounts])
        _check_unique("keys", [key.key for account in self.accounts for key in account.keys])


def _check_unique(name: str, values: list[str]) -> None:
    if len(set(values)) != len(values):
        msg = f"{name}: expected different names, was {values!r}"
        raise DomainError(msg)
