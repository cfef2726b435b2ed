"""Seeded synthetic order flow around a latent fundamental price: the crowd that our orders meet.

Four kinds of trader, each a Poisson process, share one timer:

- **makers** quote a ladder each around what they believe the fundamental to be, and look at it only now and then;
- **patient** traders leave single limit orders near the touch and take them back after a while;
- **noise takers** send market orders of heavy-tailed size, one side in streaks, knowing nothing;
- **informed takers** know the fundamental and take whatever is mispriced. Who quotes late, pays them.

The fundamental is a random walk with jumps. Nothing here reads a clock or a global random source: the same seed and the
same orders of ours give the same market.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mmframe.builtin.exchange.matching import ANONYMOUS
from mmframe.domain.orders import OrderStatus, TimeInForce

if TYPE_CHECKING:
    from random import Random

    from mmframe.builtin.exchange.matching import MatchingEngine, Order
    from mmframe.builtin.exchange.options import EmbeddedFeedOptions
    from mmframe.domain.instrument import Instrument

__all__ = ["SyntheticFlow"]

_BUY, _SELL = 0, 1
_OPEN = OrderStatus.OPEN
_IOC = TimeInForce.IOC

_JUMPS_PER_S = 0.1
_JUMP_SHARE = 0.3
"""Share of the fundamental's variance that comes in jumps."""
_RANGE = 50.0
"""Farthest that the fundamental goes from where it began, up or down, as a factor."""
_BELIEF_NOISE_BPS = 0.8
"""Standard deviation of a maker's error about the fundamental."""
_BELIEF_PERSISTENCE = 0.8
"""Share of its error that a maker keeps from one look to the next."""
_STREAK = 0.6
"""Probability that a noise taker is on the side of the one before."""
_NOISE_SIZE = 8
"""Size of a noise taker's order relative to a resting one: large enough to sweep some levels now and then."""
_PATIENCE_S = 5.0
_PATIENT_DEPTH_BPS = 6.0
"""Mean distance of a patient order behind the touch."""
_LADDER_GROWTH = 1.25
"""Each gap of a maker's ladder relative to the one before."""
_SIZE_SIGMA = 1.0
"""Standard deviation of the logarithm of a size: a heavy but finite tail."""
_LARGEST_DRAW = 2.3
"""In standard deviations: the largest order takes a third of a side, so that no side is ever empty."""
_INFORMED_EDGE_BPS = 0.5
"""What an informed taker wants to gain per unit."""
_SIZE_TABLE = 4096
"""Sizes are drawn once and then picked: a draw costs ten times a pick."""


class _Maker:
    """One background maker: its error about the fundamental and the orders of its ladder, best first."""

    __slots__ = ("asks", "bids", "error_ticks", "offsets_ticks")

    def __init__(self, offsets_ticks: tuple[float, ...]) -> None:
        self.offsets_ticks = offsets_ticks
        self.error_ticks = 0.0
        self.bids: list[Order | None] = [None] * len(offsets_ticks)
        self.asks: list[Order | None] = [None] * len(offsets_ticks)


class SyntheticFlow:
    """Acts on one matching engine, one trader at a time.

    Args:
        options: The crowd in numbers, rates per second of virtual time.
        instrument: The market's grid.
        matching: The market that it trades in.
        random: Its own seeded stream.
        start_ns: When it begins.

    Attributes:
        next_ns: When the next trader acts; `step` is to be called then.
        fundamental_ticks: The latent price, known to informed takers.
    """

    __slots__ = (
        "_drift_ns",
        "_drift_sigma",
        "_jump_sigma",
        "_last_taker_side",
        "_makers",
        "_matching",
        "_options",
        "_patient",
        "_random",
        "_range_ticks",
        "_rates",
        "_sizes",
        "_ticks_per_bps",
        "fundamental_ticks",
        "next_ns",
    )

    def __init__(
        self,
        options: EmbeddedFeedOptions,
        instrument: Instrument,
        matching: MatchingEngine,
        *,
        random: Random,
        start_ns: int,
    ) -> None:
        self._options = options
        self._matching = matching
        self._random = random
        self._drift_ns = start_ns
        self.next_ns = start_ns
        self.fundamental_ticks = float(instrument.price_ticks(options.price))
        self._ticks_per_bps = self.fundamental_ticks / 10_000.0
        self._range_ticks = (self.fundamental_ticks / _RANGE, self.fundamental_ticks * _RANGE)
        sigma = options.volatility_bps_per_sqrt_s / 10_000.0
        self._drift_sigma = sigma * math.sqrt(1.0 - _JUMP_SHARE)
        self._jump_sigma = sigma * math.sqrt(_JUMP_SHARE / _JUMPS_PER_S)
        self._last_taker_side = _BUY
        self._patient: list[Order] = []
        median = instrument.size_lots(options.typical_size)
        draws = (min(random.gauss(0.0, 1.0), _LARGEST_DRAW) for _ in range(_SIZE_TABLE))
        self._sizes = [max(1, round(median * math.exp(_SIZE_SIGMA * draw))) for draw in draws]
        self._makers = [_Maker(self._ladder()) for _ in range(options.makers)]
        self._rates = (
            options.makers * options.maker_refreshes_per_s,
            options.patient_orders_per_s,
            options.noise_takers_per_s,
            options.informed_takers_per_s,
            _JUMPS_PER_S,
        )
        for maker in self._makers:
            self._refresh(maker)
        self._schedule()

    def step(self) -> None:
        """Let the next trader act, at `next_ns`, and draw who comes after."""
        self._drift(self.next_ns)
        refresh, patient, noise, informed, _ = self._rates
        leaving = len(self._patient) / _PATIENCE_S
        choice = self._random.random() * (sum(self._rates) + leaving)
        if choice < refresh:
            self._refresh(self._makers[int(choice / refresh * len(self._makers))])
        elif (choice := choice - refresh) < patient:
            self._join()
        elif (choice := choice - patient) < leaving:
            self._leave()
        elif (choice := choice - leaving) < noise:
            self._take_blindly()
        elif choice - noise < informed:
            self._take_mispriced()
        else:
            self._move_fundamental(self._jump_sigma)
        self._schedule()

    def _schedule(self) -> None:
        total = sum(self._rates) + len(self._patient) / _PATIENCE_S
        self.next_ns += 1 + int(self._random.expovariate(total) * 1e9)

    def _drift(self, now_ns: int) -> None:
        elapsed_s = (now_ns - self._drift_ns) / 1e9
        self._drift_ns = now_ns
        self._move_fundamental(self._drift_sigma * math.sqrt(elapsed_s))

    def _move_fundamental(self, sigma: float) -> None:
        moved = self.fundamental_ticks * (1.0 + sigma * self._random.gauss(0.0, 1.0))
        low, high = self._range_ticks
        self.fundamental_ticks = low if moved < low else min(moved, high)

    def _ladder(self) -> tuple[float, ...]:
        """Return distances of one maker's orders from its belief, in ticks, each maker a little differently."""
        gap = self._ticks_per_bps
        distance = self._options.spread_bps / 2.0 * gap
        offsets = []
        for _ in range(self._options.maker_levels):
            offsets.append(distance)
            distance += gap * self._random.uniform(0.6, 1.4)
            gap *= _LADDER_GROWTH
        return tuple(offsets)

    def _size_lots(self) -> int:
        return self._sizes[int(self._random.random() * _SIZE_TABLE)]

    def _refresh(self, maker: _Maker) -> None:
        """Move what is too far from where the maker wants it now; leave the rest its place in the queue."""
        noise = _BELIEF_NOISE_BPS * self._ticks_per_bps * math.sqrt(1.0 - _BELIEF_PERSISTENCE**2)
        maker.error_ticks = _BELIEF_PERSISTENCE * maker.error_ticks + noise * self._random.gauss(0.0, 1.0)
        belief = self.fundamental_ticks + maker.error_ticks
        # The side that has become dangerous goes first, or it would stand in the way of the other.
        self._move(maker, _BUY, belief, placing=False)
        self._move(maker, _SELL, belief, placing=False)
        self._move(maker, _BUY, belief, placing=True)
        self._move(maker, _SELL, belief, placing=True)

    def _move(self, maker: _Maker, side: int, belief: float, *, placing: bool) -> None:
        matching = self._matching
        orders = maker.asks if side else maker.bids
        for place, offset in enumerate(maker.offsets_ticks):
            order = orders[place]
            if placing:
                if order is None:
                    target = math.ceil(belief + offset) if side else math.floor(belief - offset)
                    orders[place] = self._post(side, target, int(self._size_lots() * (1.0 + 0.2 * place)) + 1)
            elif order is not None:
                if order.status is not _OPEN:
                    orders[place] = None
                    continue
                distance = order.price_ticks - belief if side else belief - order.price_ticks
                if abs(distance - offset) > self._ticks_per_bps + 0.25 * offset:
                    matching.cancel(order.order_id)
                    orders[place] = None

    def _post(self, side: int, price_ticks: int, size_lots: int) -> Order | None:
        """Rest an order at that price, or next to the other side's best where it would take."""
        matching = self._matching
        if matching.would_take(side, price_ticks):
            price_ticks = matching.best(_BUY) + 1 if side else matching.best(_SELL) - 1
        order = matching.limit(ANONYMOUS, side, price_ticks, size_lots, is_post_only=True)
        return order if order.status is _OPEN else None

    def _join(self) -> None:
        """Rest one order behind, at or one tick inside the touch, but never where it would be a gift."""
        side = _BUY if self._random.random() < 0.5 else _SELL
        fair = self.fundamental_ticks
        best = self._matching.best(side) or round(fair)
        behind = int(self._random.expovariate(1.0 / (_PATIENT_DEPTH_BPS * self._ticks_per_bps))) - 1
        price = max(best + behind, math.ceil(fair)) if side else min(best - behind, math.floor(fair))
        order = self._post(side, price, self._size_lots())
        if order is not None:
            self._patient.append(order)

    def _leave(self) -> None:
        patient = self._patient
        place = int(self._random.random() * len(patient))
        order = patient[place]
        patient[place] = patient[-1]
        patient.pop()
        self._matching.cancel(order.order_id)

    def _take_blindly(self) -> None:
        if self._random.random() > _STREAK:
            self._last_taker_side = 1 - self._last_taker_side
        self._matching.market(ANONYMOUS, self._last_taker_side, _NOISE_SIZE * self._size_lots())

    def _take_mispriced(self) -> None:
        matching = self._matching
        fundamental = self.fundamental_ticks
        edge = _INFORMED_EDGE_BPS * self._ticks_per_bps
        bid, ask = matching.best(_BUY), matching.best(_SELL)
        if ask and ask <= fundamental - edge:
            side, limit, wrong_ticks = _BUY, math.floor(fundamental - edge), fundamental - ask
        elif bid and bid >= fundamental + edge:
            side, limit, wrong_ticks = _SELL, math.ceil(fundamental + edge), bid - fundamental
        else:
            return
        size_lots = self._size_lots() * (1 + round(wrong_ticks / self._ticks_per_bps))
        matching.limit(ANONYMOUS, side, limit, size_lots, time_in_force=_IOC)
