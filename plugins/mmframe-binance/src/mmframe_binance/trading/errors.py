"""What each error code of the exchange says about a request, as data: one table a product, and the page made of it.

The one question is whether the request was executed. Only a code that the exchange documents as a refusal says no; an
unlisted one says nothing, and neither does an answer that came with a status of 5xx.

Source: the exchange's pages of error codes, spot (2026-07) and USDⓈ-M futures; the texts are ours.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["SPOT_ERRORS", "USDM_ERRORS", "ErrorCode", "Verdict", "error_page", "verdict_of"]


class Verdict(Enum):
    """What an error answer says of the request, and what follows."""

    REFUSED = "refused"
    """Not executed, for a reason in the request or the account; another request may pass."""
    FATAL = "fatal"
    """Not executed, and no other will be: the key, its rights or the account's mode."""
    THROTTLED = "throttled"
    """Not executed, because of a limit on new orders."""
    CLOCK = "clock"
    """Not executed, because our time was off."""
    GONE = "gone"
    """There is no such open order: it may have filled, ended or never been."""
    DUPLICATE = "duplicate"
    """An order with this client id is open: ours may have been placed before."""
    PARTIAL = "partial"
    """A cancel with a new order did not work as a whole; the answer says which part did."""
    UNKNOWN = "unknown"
    """It may have been executed."""


_ACTIONS = {
    Verdict.REFUSED: "REJECTED for a submit; an amend or cancel leaves the order as it was",
    Verdict.FATAL: "ends the run at its start; later: the same as refused, the venue is down and takes no new order",
    Verdict.THROTTLED: "as refused; new orders wait until the window is over, cancels go on",
    Verdict.CLOCK: "as refused; the clock is measured anew",
    Verdict.GONE: "never taken for a cancel: the order is asked for; for a query: open orders and trades must agree",
    Verdict.DUPLICATE: "UNKNOWN: the order is asked for",
    Verdict.PARTIAL: "by its parts: replaced, cancelled only, unchanged or unknown",
    Verdict.UNKNOWN: "UNKNOWN for anything that changes orders: the order is asked for, nothing is sent again",
}


class ErrorCode(NamedTuple):
    """One code.

    Attributes:
        code: As in the answer, negative.
        name: The exchange's.
        verdict: What it says of the request.
        meaning: In a few words, ours.
    """

    code: int
    name: str
    verdict: Verdict
    meaning: str


_REFUSED, _FATAL, _UNKNOWN, _GONE = Verdict.REFUSED, Verdict.FATAL, Verdict.UNKNOWN, Verdict.GONE
_FIX = "for FIX sessions alone"
_SBE = "for binary encodings alone"
_LISTS = "for order lists alone"
_LEVERAGE = "of changing leverage alone"
_MARGIN = "of changing margin modes alone"
_OPTIONS = "of options alone"
_STOPS = "of stop orders alone"

_COMMON = (
    ErrorCode(-1000, "UNKNOWN", _UNKNOWN, "an error without a cause"),
    ErrorCode(-1001, "DISCONNECTED", _UNKNOWN, "an internal error"),
    ErrorCode(-1002, "UNAUTHORIZED", _FATAL, "the key may not do this"),
    ErrorCode(-1003, "TOO_MANY_REQUESTS", _UNKNOWN, "too much request weight, or the address is banned"),
    ErrorCode(-1006, "UNEXPECTED_RESP", _UNKNOWN, "an unexpected answer inside the exchange"),
    ErrorCode(-1007, "TIMEOUT", _UNKNOWN, "the engine did not answer in its 10 s"),
    ErrorCode(-1010, "ERROR_MSG_RECEIVED", _UNKNOWN, "the engine reports an error"),
    ErrorCode(-1013, "INVALID_MESSAGE", _REFUSED, "a filter or the form of the request; it did not reach the engine"),
    ErrorCode(-1014, "UNKNOWN_ORDER_COMPOSITION", _REFUSED, "parameters that do not go together"),
    ErrorCode(-1015, "TOO_MANY_ORDERS", Verdict.THROTTLED, "the limit on new orders is reached"),
    ErrorCode(-1016, "SERVICE_SHUTTING_DOWN", _UNKNOWN, "the service is being closed"),
    ErrorCode(-1020, "UNSUPPORTED_OPERATION", _REFUSED, "not offered"),
    ErrorCode(-1021, "INVALID_TIMESTAMP", Verdict.CLOCK, "our time is outside of recvWindow or ahead of the server's"),
    ErrorCode(-1022, "INVALID_SIGNATURE", _FATAL, "the signature does not fit key and bytes"),
    ErrorCode(-1100, "ILLEGAL_CHARS", _REFUSED, "characters that a parameter may not hold"),
    ErrorCode(-1101, "TOO_MANY_PARAMETERS", _REFUSED, "more parameters than the endpoint knows, or one twice"),
    ErrorCode(-1102, "MANDATORY_PARAM_EMPTY_OR_MALFORMED", _REFUSED, "a required parameter is missing or malformed"),
    ErrorCode(-1103, "UNKNOWN_PARAM", _REFUSED, "a parameter that does not exist"),
    ErrorCode(-1104, "UNREAD_PARAMETERS", _REFUSED, "a parameter that was not read"),
    ErrorCode(-1105, "PARAM_EMPTY", _REFUSED, "an empty parameter"),
    ErrorCode(-1106, "PARAM_NOT_REQUIRED", _REFUSED, "a parameter that does not belong there"),
    ErrorCode(-1111, "BAD_PRECISION", _REFUSED, "more decimals than allowed"),
    ErrorCode(-1112, "NO_DEPTH", _REFUSED, "no orders in the book"),
    ErrorCode(-1114, "TIF_NOT_REQUIRED", _REFUSED, "a time in force where none belongs"),
    ErrorCode(-1115, "INVALID_TIF", _REFUSED, "no such time in force"),
    ErrorCode(-1116, "INVALID_ORDER_TYPE", _REFUSED, "no such order type"),
    ErrorCode(-1117, "INVALID_SIDE", _REFUSED, "no such side"),
    ErrorCode(-1118, "EMPTY_NEW_CL_ORD_ID", _REFUSED, "an empty new client id"),
    ErrorCode(-1119, "EMPTY_ORG_CL_ORD_ID", _REFUSED, "an empty client id"),
    ErrorCode(-1120, "BAD_INTERVAL", _REFUSED, "no such interval"),
    ErrorCode(-1121, "BAD_SYMBOL", _REFUSED, "no such symbol"),
    ErrorCode(-1122, "INVALID_SYMBOLSTATUS", _REFUSED, "no such symbol status"),
    ErrorCode(-1125, "INVALID_LISTEN_KEY", _REFUSED, "the listen key is gone; another one is made"),
    ErrorCode(-1127, "MORE_THAN_XX_HOURS", _REFUSED, "too long a time to look up"),
    ErrorCode(-1128, "OPTIONAL_PARAMS_BAD_COMBO", _REFUSED, "optional parameters that do not go together"),
    ErrorCode(-1130, "INVALID_PARAMETER", _REFUSED, "a value that a parameter may not have"),
    ErrorCode(-2010, "NEW_ORDER_REJECTED", _REFUSED, "the engine refused the order; the message says why"),
    ErrorCode(-2011, "CANCEL_REJECTED", _GONE, "nothing to cancel"),
    ErrorCode(-2013, "NO_SUCH_ORDER", _GONE, "no such order, or not yet"),
    ErrorCode(-2014, "BAD_API_KEY_FMT", _FATAL, "this is no API key"),
    ErrorCode(-2015, "REJECTED_MBX_KEY", _FATAL, "key, address or permission refused"),
    ErrorCode(-2016, "NO_TRADING_WINDOW", _REFUSED, "no trading window"),
)

_SPOT_ONLY = (
    ErrorCode(-1008, "SERVER_BUSY", _UNKNOWN, "the exchange is overloaded"),
    ErrorCode(-1033, "COMP_ID_IN_USE", _REFUSED, _FIX),
    ErrorCode(-1034, "TOO_MANY_CONNECTIONS", _REFUSED, "too many connections or attempts"),
    ErrorCode(-1035, "LOGGED_OUT", _REFUSED, _FIX),
    ErrorCode(-1108, "PARAM_OVERFLOW", _REFUSED, "a number that is too large"),
    ErrorCode(-1134, "BAD_STRATEGY_TYPE", _REFUSED, "strategyType is below 1000000"),
    ErrorCode(-1135, "INVALID_JSON", _REFUSED, "malformed JSON"),
    ErrorCode(-1139, "INVALID_TICKER_TYPE", _REFUSED, "no such ticker type"),
    ErrorCode(-1145, "INVALID_CANCEL_RESTRICTIONS", _REFUSED, "no such cancel restriction"),
    ErrorCode(-1151, "DUPLICATE_SYMBOLS", _REFUSED, "a symbol twice"),
    ErrorCode(-1152, "INVALID_SBE_HEADER", _REFUSED, _SBE),
    ErrorCode(-1153, "UNSUPPORTED_SCHEMA_ID", _REFUSED, _SBE),
    ErrorCode(-1155, "SBE_DISABLED", _REFUSED, _SBE),
    ErrorCode(-1158, "OCO_ORDER_TYPE_REJECTED", _REFUSED, _LISTS),
    ErrorCode(-1160, "OCO_ICEBERGQTY_TIMEINFORCE", _REFUSED, _LISTS),
    ErrorCode(-1161, "DEPRECATED_SCHEMA", _REFUSED, _SBE),
    ErrorCode(-1165, "BUY_OCO_LIMIT_MUST_BE_BELOW", _REFUSED, _LISTS),
    ErrorCode(-1166, "SELL_OCO_LIMIT_MUST_BE_ABOVE", _REFUSED, _LISTS),
    ErrorCode(-1168, "BOTH_OCO_ORDERS_CANNOT_BE_LIMIT", _REFUSED, _LISTS),
    ErrorCode(-1169, "INVALID_TAG_NUMBER", _REFUSED, _FIX),
    ErrorCode(-1170, "TAG_NOT_DEFINED_IN_MESSAGE", _REFUSED, _FIX),
    ErrorCode(-1171, "TAG_APPEARS_MORE_THAN_ONCE", _REFUSED, _FIX),
    ErrorCode(-1172, "TAG_OUT_OF_ORDER", _REFUSED, _FIX),
    ErrorCode(-1173, "GROUP_FIELDS_OUT_OF_ORDER", _REFUSED, _FIX),
    ErrorCode(-1174, "INVALID_COMPONENT", _REFUSED, _FIX),
    ErrorCode(-1175, "RESET_SEQ_NUM_SUPPORT", _REFUSED, _FIX),
    ErrorCode(-1176, "ALREADY_LOGGED_IN", _REFUSED, _FIX),
    ErrorCode(-1177, "GARBLED_MESSAGE", _REFUSED, _FIX),
    ErrorCode(-1178, "BAD_SENDER_COMPID", _REFUSED, _FIX),
    ErrorCode(-1179, "BAD_SEQ_NUM", _REFUSED, _FIX),
    ErrorCode(-1180, "EXPECTED_LOGON", _REFUSED, _FIX),
    ErrorCode(-1181, "TOO_MANY_MESSAGES", _REFUSED, _FIX),
    ErrorCode(-1182, "PARAMS_BAD_COMBO", _REFUSED, _FIX),
    ErrorCode(-1183, "NOT_ALLOWED_IN_DROP_COPY_SESSIONS", _REFUSED, _FIX),
    ErrorCode(-1184, "DROP_COPY_SESSION_NOT_ALLOWED", _REFUSED, _FIX),
    ErrorCode(-1185, "DROP_COPY_SESSION_REQUIRED", _REFUSED, _FIX),
    ErrorCode(-1186, "NOT_ALLOWED_IN_ORDER_ENTRY_SESSIONS", _REFUSED, _FIX),
    ErrorCode(-1187, "NOT_ALLOWED_IN_MARKET_DATA_SESSIONS", _REFUSED, _FIX),
    ErrorCode(-1188, "INCORRECT_NUM_IN_GROUP_COUNT", _REFUSED, _FIX),
    ErrorCode(-1189, "DUPLICATE_ENTRIES_IN_A_GROUP", _REFUSED, _FIX),
    ErrorCode(-1190, "INVALID_REQUEST_ID", _REFUSED, _FIX),
    ErrorCode(-1191, "TOO_MANY_SUBSCRIPTIONS", _REFUSED, _FIX),
    ErrorCode(-1194, "INVALID_TIME_UNIT", _REFUSED, "no such time unit"),
    ErrorCode(-1196, "BUY_OCO_STOP_LOSS_MUST_BE_ABOVE", _REFUSED, _LISTS),
    ErrorCode(-1197, "SELL_OCO_STOP_LOSS_MUST_BE_BELOW", _REFUSED, _LISTS),
    ErrorCode(-1198, "BUY_OCO_TAKE_PROFIT_MUST_BE_BELOW", _REFUSED, _LISTS),
    ErrorCode(-1199, "SELL_OCO_TAKE_PROFIT_MUST_BE_ABOVE", _REFUSED, _LISTS),
    ErrorCode(-1210, "INVALID_PEG_PRICE_TYPE", _REFUSED, "no such kind of peg"),
    ErrorCode(-1211, "INVALID_PEG_OFFSET_TYPE", _REFUSED, "no such peg offset"),
    ErrorCode(-1220, "SYMBOL_DOES_NOT_MATCH_STATUS", _REFUSED, "the symbol has another status"),
    ErrorCode(-1221, "INVALID_SBE_MESSAGE_FIELD", _REFUSED, _SBE),
    ErrorCode(-1222, "OPO_WORKING_MUST_BE_BUY", _REFUSED, _LISTS),
    ErrorCode(-1223, "OPO_PENDING_MUST_BE_SELL", _REFUSED, _LISTS),
    ErrorCode(-1224, "WORKING_PARAM_REQUIRED", _REFUSED, _LISTS),
    ErrorCode(-1225, "PENDING_PARAM_NOT_REQUIRED", _REFUSED, _LISTS),
    ErrorCode(-2021, "CANCEL_REPLACE_PARTIALLY_FAILED", Verdict.PARTIAL, "one of cancel and new order worked"),
    ErrorCode(-2022, "CANCEL_REPLACE_FAILED", Verdict.PARTIAL, "neither cancel nor new order worked"),
    ErrorCode(-2026, "ORDER_ARCHIVED", _GONE, "ended without a fill more than 90 days ago"),
    ErrorCode(-2035, "SUBSCRIPTION_ACTIVE", _REFUSED, "this connection has the user data already"),
    ErrorCode(-2036, "SUBSCRIPTION_INACTIVE", _REFUSED, "this connection has no user data"),
    ErrorCode(-2038, "ORDER_AMEND_REJECTED", _REFUSED, "the engine refused to amend; the message says why"),
    ErrorCode(-2039, "CLIENT_ORDER_ID_INVALID", _REFUSED, "client id and order id are of different orders"),
    ErrorCode(-2042, "MAXIMUM_SUBSCRIPTION_IDS", _REFUSED, "this connection has had too many subscriptions"),
    ErrorCode(-2043, "NO_REFERENCE_PRICE", _REFUSED, "the symbol has no reference price"),
)

_USDM_ONLY = (
    ErrorCode(-1004, "DUPLICATE_IP", _REFUSED, "the address is listed already"),
    ErrorCode(-1005, "NO_SUCH_IP", _REFUSED, "the address is not listed"),
    ErrorCode(-1008, "REQUEST_THROTTLED", Verdict.THROTTLED, "the exchange protects itself; reducing orders pass"),
    ErrorCode(-1011, "NON_WHITE_LIST", _FATAL, "this address may not use the route"),
    ErrorCode(-1023, "START_TIME_GREATER_THAN_END_TIME", _REFUSED, "start after end"),
    ErrorCode(-1099, "NOT_FOUND", _FATAL, "not found, or the key may not see it"),
    ErrorCode(-1108, "BAD_ASSET", _REFUSED, "no such asset"),
    ErrorCode(-1109, "BAD_ACCOUNT", _FATAL, "no such account: has the futures wallet been opened?"),
    ErrorCode(-1110, "BAD_INSTRUMENT_TYPE", _REFUSED, "no such kind of symbol"),
    ErrorCode(-1113, "WITHDRAW_NOT_NEGATIVE", _REFUSED, "an amount of the wrong sign"),
    ErrorCode(-1126, "ASSET_NOT_SUPPORTED", _REFUSED, "the asset is not taken"),
    ErrorCode(-1136, "INVALID_NEW_ORDER_RESP_TYPE", _REFUSED, "no such kind of answer"),
    ErrorCode(-2012, "CANCEL_ALL_FAIL", _UNKNOWN, "cancelling several orders failed"),
    ErrorCode(-2017, "API_KEYS_LOCKED", _FATAL, "the account's keys are locked"),
    ErrorCode(-2018, "BALANCE_NOT_SUFFICIENT", _REFUSED, "not enough balance"),
    ErrorCode(-2019, "MARGIN_NOT_SUFFICIENT", _REFUSED, "not enough margin"),
    ErrorCode(-2020, "UNABLE_TO_FILL", _REFUSED, "cannot be filled"),
    ErrorCode(-2021, "ORDER_WOULD_IMMEDIATELY_TRIGGER", _REFUSED, _STOPS),
    ErrorCode(-2022, "REDUCE_ONLY_REJECT", _REFUSED, "would not reduce the position"),
    ErrorCode(-2023, "USER_IN_LIQUIDATION", _REFUSED, "the account is being liquidated"),
    ErrorCode(-2024, "POSITION_NOT_SUFFICIENT", _REFUSED, "the position is too small"),
    ErrorCode(-2025, "MAX_OPEN_ORDER_EXCEEDED", _REFUSED, "too many open orders"),
    ErrorCode(-2026, "REDUCE_ONLY_ORDER_TYPE_NOT_SUPPORTED", _REFUSED, "an order type that cannot be reduce-only"),
    ErrorCode(-2027, "MAX_LEVERAGE_RATIO", _REFUSED, "the position would be too large for the leverage"),
    ErrorCode(-2028, "MIN_LEVERAGE_RATIO", _REFUSED, "the leverage is too small for the margin"),
    ErrorCode(-4000, "INVALID_ORDER_STATUS", _GONE, "the order's status does not allow it"),
    ErrorCode(-4001, "PRICE_LESS_THAN_ZERO", _REFUSED, "price below 0"),
    ErrorCode(-4002, "PRICE_GREATER_THAN_MAX_PRICE", _REFUSED, "price above the filter's"),
    ErrorCode(-4003, "QTY_LESS_THAN_ZERO", _REFUSED, "size below 0"),
    ErrorCode(-4004, "QTY_LESS_THAN_MIN_QTY", _REFUSED, "size below the filter's"),
    ErrorCode(-4005, "QTY_GREATER_THAN_MAX_QTY", _REFUSED, "size above the filter's"),
    ErrorCode(-4006, "STOP_PRICE_LESS_THAN_ZERO", _REFUSED, _STOPS),
    ErrorCode(-4007, "STOP_PRICE_GREATER_THAN_MAX_PRICE", _REFUSED, _STOPS),
    ErrorCode(-4008, "TICK_SIZE_LESS_THAN_ZERO", _REFUSED, "a filter below 0"),
    ErrorCode(-4009, "MAX_PRICE_LESS_THAN_MIN_PRICE", _REFUSED, "contradicting filters"),
    ErrorCode(-4010, "MAX_QTY_LESS_THAN_MIN_QTY", _REFUSED, "contradicting filters"),
    ErrorCode(-4011, "STEP_SIZE_LESS_THAN_ZERO", _REFUSED, "a filter below 0"),
    ErrorCode(-4012, "MAX_NUM_ORDERS_LESS_THAN_ZERO", _REFUSED, "a filter below 0"),
    ErrorCode(-4013, "PRICE_LESS_THAN_MIN_PRICE", _REFUSED, "price below the filter's"),
    ErrorCode(-4014, "PRICE_NOT_INCREASED_BY_TICK_SIZE", _REFUSED, "price off the tick"),
    ErrorCode(-4015, "INVALID_CL_ORD_ID_LEN", _REFUSED, "client id longer than 36 characters"),
    ErrorCode(-4016, "PRICE_HIGHTER_THAN_MULTIPLIER_UP", _REFUSED, "price too far above the mark price"),
    ErrorCode(-4017, "MULTIPLIER_UP_LESS_THAN_ZERO", _REFUSED, "a filter below 0"),
    ErrorCode(-4018, "MULTIPLIER_DOWN_LESS_THAN_ZERO", _REFUSED, "a filter below 0"),
    ErrorCode(-4019, "COMPOSITE_SCALE_OVERFLOW", _REFUSED, "a scale that is too large"),
    ErrorCode(-4020, "TARGET_STRATEGY_INVALID", _REFUSED, "order type and reduce-only do not go together"),
    ErrorCode(-4021, "INVALID_DEPTH_LIMIT", _REFUSED, "no such number of levels"),
    ErrorCode(-4022, "WRONG_MARKET_STATUS", _REFUSED, "the market is not open for this"),
    ErrorCode(-4023, "QTY_NOT_INCREASED_BY_STEP_SIZE", _REFUSED, "size off the step"),
    ErrorCode(-4024, "PRICE_LOWER_THAN_MULTIPLIER_DOWN", _REFUSED, "price too far below the mark price"),
    ErrorCode(-4025, "MULTIPLIER_DECIMAL_LESS_THAN_ZERO", _REFUSED, "a filter below 0"),
    ErrorCode(-4026, "COMMISSION_INVALID", _REFUSED, "no such commission"),
    ErrorCode(-4027, "INVALID_ACCOUNT_TYPE", _REFUSED, "no such kind of account"),
    ErrorCode(-4028, "INVALID_LEVERAGE", _REFUSED, _LEVERAGE),
    ErrorCode(-4029, "INVALID_TICK_SIZE_PRECISION", _REFUSED, "decimals of a filter"),
    ErrorCode(-4030, "INVALID_STEP_SIZE_PRECISION", _REFUSED, "decimals of a filter"),
    ErrorCode(-4031, "INVALID_WORKING_TYPE", _REFUSED, _STOPS),
    ErrorCode(-4032, "EXCEED_MAX_CANCEL_ORDER_SIZE", _REFUSED, "too many orders in one cancel"),
    ErrorCode(-4033, "INSURANCE_ACCOUNT_NOT_FOUND", _REFUSED, "no insurance account"),
    ErrorCode(-4044, "INVALID_BALANCE_TYPE", _REFUSED, "no such kind of balance"),
    ErrorCode(-4045, "MAX_STOP_ORDER_EXCEEDED", _REFUSED, _STOPS),
    ErrorCode(-4046, "NO_NEED_TO_CHANGE_MARGIN_TYPE", _REFUSED, _MARGIN),
    ErrorCode(-4047, "THERE_EXISTS_OPEN_ORDERS", _REFUSED, _MARGIN),
    ErrorCode(-4048, "THERE_EXISTS_QUANTITY", _REFUSED, _MARGIN),
    ErrorCode(-4049, "ADD_ISOLATED_MARGIN_REJECT", _REFUSED, _MARGIN),
    ErrorCode(-4050, "CROSS_BALANCE_INSUFFICIENT", _REFUSED, "not enough cross balance"),
    ErrorCode(-4051, "ISOLATED_BALANCE_INSUFFICIENT", _REFUSED, "not enough isolated balance"),
    ErrorCode(-4052, "NO_NEED_TO_CHANGE_AUTO_ADD_MARGIN", _REFUSED, _MARGIN),
    ErrorCode(-4053, "AUTO_ADD_CROSSED_MARGIN_REJECT", _REFUSED, _MARGIN),
    ErrorCode(-4054, "ADD_ISOLATED_MARGIN_NO_POSITION_REJECT", _REFUSED, _MARGIN),
    ErrorCode(-4055, "AMOUNT_MUST_BE_POSITIVE", _REFUSED, "an amount below 0"),
    ErrorCode(-4056, "INVALID_API_KEY_TYPE", _FATAL, "no such kind of key"),
    ErrorCode(-4057, "INVALID_RSA_PUBLIC_KEY", _FATAL, "a bad public key"),
    ErrorCode(-4058, "MAX_PRICE_TOO_LARGE", _REFUSED, "a filter that is too large"),
    ErrorCode(-4059, "NO_NEED_TO_CHANGE_POSITION_SIDE", _REFUSED, "of changing the position mode alone"),
    ErrorCode(-4060, "INVALID_POSITION_SIDE", _REFUSED, "no such position side"),
    ErrorCode(-4061, "POSITION_SIDE_NOT_MATCH", _FATAL, "the account is in hedge mode; one-way is needed"),
    ErrorCode(-4062, "REDUCE_ONLY_CONFLICT", _REFUSED, "reduce-only does not fit"),
    *(
        ErrorCode(code, name, _REFUSED, _OPTIONS)
        for code, name in (
            (-4063, "INVALID_OPTIONS_REQUEST_TYPE"),
            (-4064, "INVALID_OPTIONS_TIME_FRAME"),
            (-4065, "INVALID_OPTIONS_AMOUNT"),
            (-4066, "INVALID_OPTIONS_EVENT_TYPE"),
        )
    ),
    ErrorCode(-4067, "POSITION_SIDE_CHANGE_EXISTS_OPEN_ORDERS", _REFUSED, "of changing the position mode alone"),
    ErrorCode(-4068, "POSITION_SIDE_CHANGE_EXISTS_QUANTITY", _REFUSED, "of changing the position mode alone"),
    *(
        ErrorCode(code, name, _REFUSED, _OPTIONS)
        for code, name in (
            (-4069, "INVALID_OPTIONS_PREMIUM_FEE"),
            (-4070, "INVALID_CL_OPTIONS_ID_LEN"),
            (-4071, "INVALID_OPTIONS_DIRECTION"),
            (-4072, "OPTIONS_PREMIUM_NOT_UPDATE"),
            (-4073, "OPTIONS_PREMIUM_INPUT_LESS_THAN_ZERO"),
            (-4074, "OPTIONS_AMOUNT_BIGGER_THAN_UPPER"),
            (-4075, "OPTIONS_PREMIUM_OUTPUT_ZERO"),
            (-4076, "OPTIONS_PREMIUM_TOO_DIFF"),
            (-4077, "OPTIONS_PREMIUM_REACH_LIMIT"),
            (-4078, "OPTIONS_COMMON_ERROR"),
            (-4079, "INVALID_OPTIONS_ID"),
            (-4080, "OPTIONS_USER_NOT_FOUND"),
            (-4081, "OPTIONS_NOT_FOUND"),
        )
    ),
    ErrorCode(-4082, "INVALID_BATCH_PLACE_ORDER_SIZE", _REFUSED, "too many orders in one request"),
    ErrorCode(-4083, "PLACE_BATCH_ORDERS_FAIL", _UNKNOWN, "placing several orders failed"),
    ErrorCode(-4084, "UPCOMING_METHOD", _REFUSED, "not offered yet"),
    ErrorCode(-4085, "INVALID_NOTIONAL_LIMIT_COEF", _REFUSED, "no such limit"),
    ErrorCode(-4086, "INVALID_PRICE_SPREAD_THRESHOLD", _REFUSED, "no such threshold"),
    ErrorCode(-4087, "REDUCE_ONLY_ORDER_PERMISSION", _REFUSED, "the account may only reduce positions"),
    ErrorCode(-4088, "NO_PLACE_ORDER_PERMISSION", _REFUSED, "the account may place no order now"),
    ErrorCode(-4104, "INVALID_CONTRACT_TYPE", _REFUSED, "no such contract"),
    ErrorCode(-4114, "INVALID_CLIENT_TRAN_ID_LEN", _REFUSED, "of transfers alone"),
    ErrorCode(-4115, "DUPLICATED_CLIENT_TRAN_ID", _REFUSED, "of transfers alone"),
    ErrorCode(-4116, "DUPLICATED_CLIENT_ORDER_ID", Verdict.DUPLICATE, "an open order has this client id"),
    ErrorCode(-4117, "STOP_ORDER_TRIGGERING", _REFUSED, _STOPS),
    ErrorCode(-4118, "REDUCE_ONLY_MARGIN_CHECK_FAILED", _REFUSED, "position and orders leave nothing to reduce"),
    ErrorCode(-4120, "STOP_ORDER_SWITCH_ALGO", _REFUSED, _STOPS),
    ErrorCode(-4131, "MARKET_ORDER_REJECT", _REFUSED, "the best price is outside of the price filter"),
    ErrorCode(-4135, "INVALID_ACTIVATION_PRICE", _REFUSED, _STOPS),
    ErrorCode(-4137, "QUANTITY_EXISTS_WITH_CLOSE_POSITION", _REFUSED, _STOPS),
    ErrorCode(-4138, "REDUCE_ONLY_MUST_BE_TRUE", _REFUSED, _STOPS),
    ErrorCode(-4139, "ORDER_TYPE_CANNOT_BE_MKT", _REFUSED, "no market order where it cannot be cancelled"),
    ErrorCode(-4140, "INVALID_OPENING_POSITION_STATUS", _REFUSED, "the symbol opens no positions now"),
    ErrorCode(-4141, "SYMBOL_ALREADY_CLOSED", _REFUSED, "the symbol is closed"),
    ErrorCode(-4142, "STRATEGY_INVALID_TRIGGER_PRICE", _REFUSED, _STOPS),
    ErrorCode(-4144, "INVALID_PAIR", _REFUSED, "no such pair"),
    ErrorCode(-4161, "ISOLATED_LEVERAGE_REJECT_WITH_POSITION", _REFUSED, _LEVERAGE),
    ErrorCode(-4164, "MIN_NOTIONAL", _REFUSED, "price times size is below the filter's"),
    ErrorCode(-4165, "INVALID_TIME_INTERVAL", _REFUSED, "too long a time"),
    ErrorCode(-4167, "ISOLATED_REJECT_WITH_JOINT_MARGIN", _REFUSED, _MARGIN),
    ErrorCode(-4168, "JOINT_MARGIN_REJECT_WITH_ISOLATED", _REFUSED, _MARGIN),
    ErrorCode(-4169, "JOINT_MARGIN_REJECT_WITH_MB", _REFUSED, _MARGIN),
    ErrorCode(-4170, "JOINT_MARGIN_REJECT_WITH_OPEN_ORDER", _REFUSED, _MARGIN),
    ErrorCode(-4171, "NO_NEED_TO_CHANGE_JOINT_MARGIN", _REFUSED, _MARGIN),
    ErrorCode(-4172, "JOINT_MARGIN_REJECT_WITH_NEGATIVE_BALANCE", _REFUSED, _MARGIN),
    ErrorCode(-4183, "PRICE_HIGHER_THAN_STOP_MULTIPLIER_UP", _REFUSED, "price too far from the stop price"),
    ErrorCode(-4184, "PRICE_LOWER_THAN_STOP_MULTIPLIER_DOWN", _REFUSED, "price too far from the stop price"),
    ErrorCode(-4192, "COOLING_OFF_PERIOD", _FATAL, "the account has locked itself out of trading"),
    ErrorCode(-4202, "ADJUST_LEVERAGE_KYC_FAILED", _REFUSED, _LEVERAGE),
    ErrorCode(-4203, "ADJUST_LEVERAGE_ONE_MONTH_FAILED", _REFUSED, _LEVERAGE),
    ErrorCode(-4205, "ADJUST_LEVERAGE_X_DAYS_FAILED", _REFUSED, _LEVERAGE),
    ErrorCode(-4206, "ADJUST_LEVERAGE_KYC_LIMIT", _REFUSED, _LEVERAGE),
    ErrorCode(-4208, "ADJUST_LEVERAGE_ACCOUNT_SYMBOL_FAILED", _REFUSED, _LEVERAGE),
    ErrorCode(-4209, "ADJUST_LEVERAGE_SYMBOL_FAILED", _REFUSED, _LEVERAGE),
    ErrorCode(-4210, "STOP_PRICE_HIGHER_THAN_PRICE_MULTIPLIER_LIMIT", _REFUSED, _STOPS),
    ErrorCode(-4211, "STOP_PRICE_LOWER_THAN_PRICE_MULTIPLIER_LIMIT", _REFUSED, _STOPS),
    ErrorCode(-4400, "TRADING_QUANTITATIVE_RULE", _REFUSED, "too many requests without fills: only reducing orders"),
    ErrorCode(-4401, "LARGE_POSITION_SYM_RULE", _REFUSED, "too large a position: only reducing orders"),
    ErrorCode(-4402, "COMPLIANCE_BLACK_SYMBOL_RESTRICTION", _REFUSED, "not offered where the account is"),
    ErrorCode(-4403, "ADJUST_LEVERAGE_COMPLIANCE_FAILED", _REFUSED, _LEVERAGE),
    ErrorCode(-5021, "FOK_ORDER_REJECT", _REFUSED, "could not be filled at once and whole"),
    ErrorCode(-5022, "GTX_ORDER_REJECT", _REFUSED, "would have taken"),
    ErrorCode(-5024, "MOVE_ORDER_NOT_ALLOWED_SYMBOL_REASON", _REFUSED, "the symbol allows no changes now"),
    ErrorCode(-5025, "LIMIT_ORDER_ONLY", _REFUSED, "only limit orders can be changed"),
    ErrorCode(-5026, "EXCEED_MAXIMUM_MODIFY_ORDER_LIMIT", _REFUSED, "the order was changed too often"),
    ErrorCode(-5027, "SAME_ORDER", _REFUSED, "the order is like that already"),
    ErrorCode(-5028, "ME_RECVWINDOW_REJECT", Verdict.CLOCK, "it reached the engine after recvWindow"),
    ErrorCode(-5029, "MODIFICATION_MIN_NOTIONAL", _REFUSED, "price times size is below the filter's"),
    ErrorCode(-5037, "INVALID_PRICE_MATCH", _REFUSED, "no such price match"),
    ErrorCode(-5038, "UNSUPPORTED_ORDER_TYPE_PRICE_MATCH", _REFUSED, "no price match for this order type"),
    ErrorCode(-5039, "INVALID_SELF_TRADE_PREVENTION_MODE", _REFUSED, "no such mode"),
    ErrorCode(-5040, "FUTURE_GOOD_TILL_DATE", _REFUSED, "no such end date"),
    ErrorCode(-5041, "BBO_ORDER_REJECT", _REFUSED, "no level matches"),
)


def _by_code(*parts: tuple[ErrorCode, ...]) -> Mapping[int, ErrorCode]:
    entries = sorted((entry for part in parts for entry in part), key=lambda entry: -entry.code)
    return {entry.code: entry for entry in entries}


SPOT_ERRORS = _by_code(_COMMON, _SPOT_ONLY)
"""Spot's codes, by code."""
USDM_ERRORS = _by_code(_COMMON, _USDM_ONLY)
"""The codes of USDⓈ-M futures, by code; some numbers of spot mean other things here."""

_DUPLICATE_TEXT = "Duplicate order sent"
_GONE_TEXTS = ("Unknown order sent", "was not canceled due to cancel restrictions")
_BUSY_TEXT = "Service Unavailable"
_SERVER_ERROR = 500
_UNAVAILABLE = 503


def verdict_of(table: Mapping[int, ErrorCode], status: int, code: int, message: str) -> Verdict:
    """Return what an error answer says of its request; UNKNOWN for a code that is not listed.

    Args:
        table: The product's.
        status: HTTP status, or the same in a socket's answer.
        code: As in the answer.
        message: As in the answer; the engine's codes are several refusals under one number.
    """
    if status >= _SERVER_ERROR:
        return _server_verdict(table, status, code, message)
    entry = table.get(code)
    if entry is None:
        return Verdict.UNKNOWN
    if code == -2010 and _DUPLICATE_TEXT in message:
        return Verdict.DUPLICATE
    if code in {-1010, -2038} and any(text in message for text in _GONE_TEXTS):
        return Verdict.GONE
    return entry.verdict


def _server_verdict(table: Mapping[int, ErrorCode], status: int, code: int, message: str) -> Verdict:
    """Futures' 503 has three meanings: nobody knows, it failed for certain, and throttled before the engine."""
    if table is USDM_ERRORS and status == _UNAVAILABLE:
        if code == -1008:
            return Verdict.THROTTLED
        if message.strip().rstrip(".") == _BUSY_TEXT:
            return Verdict.REFUSED
    return Verdict.UNKNOWN


def error_page() -> Iterator[str]:
    """Yield the lines of the reference page of error codes."""
    yield from ("| class | what it says of the request | what follows |", "| --- | --- | --- |")
    for verdict in Verdict:
        yield f"| {verdict.value} | {_SAYS[verdict]} | {_ACTIONS[verdict]} |"
    for heading, table in (("Spot", SPOT_ERRORS), ("USDⓈ-M futures", USDM_ERRORS)):
        yield from ("", f"## {heading}", "", "| code | name | class | meaning |", "| --- | --- | --- | --- |")
        yield from (
            f"| {entry.code} | `{entry.name}` | {entry.verdict.value} | {entry.meaning} |" for entry in table.values()
        )
    yield ""


_SAYS = {
    Verdict.REFUSED: "not executed",
    Verdict.FATAL: "not executed, and no other will be",
    Verdict.THROTTLED: "not executed: too many",
    Verdict.CLOCK: "not executed: our time was off",
    Verdict.GONE: "no such open order (now)",
    Verdict.DUPLICATE: "an open order has this client id",
    Verdict.PARTIAL: "executed in part or not at all; its data say what",
    Verdict.UNKNOWN: "nothing: it may have been executed",
}
