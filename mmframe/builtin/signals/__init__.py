"""The built-in signals."""

from mmframe.builtin.signals.constant import CONSTANT
from mmframe.builtin.signals.depth import ABSOLUTE_DEPTH, DEPTH
from mmframe.builtin.signals.drift import DRIFT
from mmframe.builtin.signals.ewma_volatility import EWMA_VOLATILITY
from mmframe.builtin.signals.imbalance import IMBALANCE
from mmframe.builtin.signals.kyle_lambda import KYLE_LAMBDA
from mmframe.builtin.signals.manipulation import MANIPULATION, SPIKE_FLAG
from mmframe.builtin.signals.micro_price import MICRO_PRICE
from mmframe.builtin.signals.order_flow_imbalance import ORDER_FLOW_IMBALANCE
from mmframe.builtin.signals.price_impact import PRICE_IMPACT
from mmframe.builtin.signals.range_volatility import GARMAN_KLASS, PARKINSON, ROGERS_SATCHELL
from mmframe.builtin.signals.realised_volatility import REALISED_VOLATILITY, TWO_SCALE_VOLATILITY
from mmframe.builtin.signals.regime import LIQUIDITY_REGIME, MARKET_CONDITION
from mmframe.builtin.signals.spike import SPIKE
from mmframe.builtin.signals.stoikov_micro_price import STOIKOV_MICRO_PRICE
from mmframe.builtin.signals.trade_flow import TRADE_FLOW
from mmframe.builtin.signals.vpin import VPIN

__all__ = ["SIGNALS"]

SIGNALS = (
    EWMA_VOLATILITY,
    REALISED_VOLATILITY,
    TWO_SCALE_VOLATILITY,
    PARKINSON,
    GARMAN_KLASS,
    ROGERS_SATCHELL,
    DRIFT,
    MICRO_PRICE,
    STOIKOV_MICRO_PRICE,
    IMBALANCE,
    ORDER_FLOW_IMBALANCE,
    TRADE_FLOW,
    VPIN,
    KYLE_LAMBDA,
    DEPTH,
    ABSOLUTE_DEPTH,
    PRICE_IMPACT,
    SPIKE,
    SPIKE_FLAG,
    MANIPULATION,
    LIQUIDITY_REGIME,
    MARKET_CONDITION,
    CONSTANT,
)
