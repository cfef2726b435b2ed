"""The built-in risk controls."""

from mmframe.builtin.risk.balance import BALANCE
from mmframe.builtin.risk.daily_loss import DAILY_LOSS
from mmframe.builtin.risk.drawdown import DRAWDOWN
from mmframe.builtin.risk.inventory_risk import INVENTORY_RISK
from mmframe.builtin.risk.layered_limits import LAYERED_LIMITS
from mmframe.builtin.risk.market_data import MARKET_DATA
from mmframe.builtin.risk.max_spread import MAX_SPREAD
from mmframe.builtin.risk.portfolio import PORTFOLIO
from mmframe.builtin.risk.price_collar import PRICE_COLLAR
from mmframe.builtin.risk.spread_floor import SPREAD_FLOOR

__all__ = ["RISK_CONTROLS"]

RISK_CONTROLS = (
    LAYERED_LIMITS,
    SPREAD_FLOOR,
    DAILY_LOSS,
    DRAWDOWN,
    PORTFOLIO,
    INVENTORY_RISK,
    PRICE_COLLAR,
    MAX_SPREAD,
    MARKET_DATA,
    BALANCE,
)
