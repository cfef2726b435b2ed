"""The built-in risk controls."""

from mmframe.builtin.risk.adverse_markouts import ADVERSE_MARKOUTS
from mmframe.builtin.risk.balance import BALANCE
from mmframe.builtin.risk.circuit_breaker import CIRCUIT_BREAKER
from mmframe.builtin.risk.condition_guard import CONDITION_GUARD
from mmframe.builtin.risk.daily_loss import DAILY_LOSS
from mmframe.builtin.risk.drawdown import DRAWDOWN
from mmframe.builtin.risk.emergency_liquidation import EMERGENCY_LIQUIDATION
from mmframe.builtin.risk.fill_rate import FILL_RATE
from mmframe.builtin.risk.inventory_risk import INVENTORY_RISK
from mmframe.builtin.risk.layered_limits import LAYERED_LIMITS
from mmframe.builtin.risk.market_data import MARKET_DATA
from mmframe.builtin.risk.max_spread import MAX_SPREAD
from mmframe.builtin.risk.pause import PAUSE
from mmframe.builtin.risk.portfolio import PORTFOLIO
from mmframe.builtin.risk.price_collar import PRICE_COLLAR
from mmframe.builtin.risk.request_budget import REQUEST_BUDGET
from mmframe.builtin.risk.spread_floor import SPREAD_FLOOR
from mmframe.builtin.risk.target_rebalancing import TARGET_REBALANCING
from mmframe.builtin.risk.toxic_flow import TOXIC_FLOW

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
    FILL_RATE,
    ADVERSE_MARKOUTS,
    TOXIC_FLOW,
    REQUEST_BUDGET,
    PAUSE,
    CIRCUIT_BREAKER,
    CONDITION_GUARD,
    TARGET_REBALANCING,
    EMERGENCY_LIQUIDATION,
)
