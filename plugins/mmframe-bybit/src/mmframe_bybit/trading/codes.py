"""Every return code that the v5 documentation lists, what it means and what we do: data, and the page made from it.

`retCode` stands in answers with HTTP status 200 as well. Only a code that says for certain that a request had no effect
refuses it; any other, and every code that is not listed, leaves an order UNKNOWN until the exchange is asked.

Source: the exchange's v5 documentation, error codes and websocket order entry.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

__all__ = ["AREAS", "CODES", "HTTP_STATUSES", "Code", "CodeClass", "class_of", "meaning_of", "render_codes"]


class CodeClass(Enum):
    """What a code says about the request that it answers."""

    OK = "ok"
    REFUSED = "refused"
    GONE = "gone"
    BUSY = "busy"
    DUPLICATE = "duplicate"
    THROTTLED = "throttled"
    CLOCK = "clock"
    FATAL = "fatal"
    UNCLEAR = "unclear"

    @property
    def is_refusal(self) -> bool:
        """Tell whether the request certainly had no effect."""
        return self in _REFUSALS

    @property
    def action(self) -> str:
        """Return what the venue does on it, in a sentence."""
        return _ACTIONS[self]


_REFUSALS = frozenset({CodeClass.REFUSED, CodeClass.BUSY, CodeClass.THROTTLED, CodeClass.CLOCK, CodeClass.FATAL})
_ACTIONS = {
    CodeClass.OK: "Nothing is told to the strategy: the order stream has to show it.",
    CodeClass.REFUSED: "A new order is REJECTED; a change or cancel leaves the order UNCHANGED.",
    CodeClass.GONE: "No end of the order is concluded: it is queried, with its executions.",
    CodeClass.BUSY: "As `refused`: the order stands, and the strategy may ask again.",
    CodeClass.DUPLICATE: "UNKNOWN, then a query: an earlier request of this id may have got through.",
    CodeClass.THROTTLED: "As `refused`, and the endpoint rests until the time that the answer tells, else a second.",
    CodeClass.CLOCK: "As `refused`, and the server's clock is read again.",
    CodeClass.FATAL: "As `refused`, and the venue goes down; at the start of a run it ends the run.",
    CodeClass.UNCLEAR: "UNKNOWN, then queries until the exchange tells what became of it; never sent again.",
}
_OK, _REFUSED, _GONE, _BUSY = CodeClass.OK, CodeClass.REFUSED, CodeClass.GONE, CodeClass.BUSY
_DUPLICATE, _THROTTLED, _CLOCK = CodeClass.DUPLICATE, CodeClass.THROTTLED, CodeClass.CLOCK
_FATAL, _UNCLEAR = CodeClass.FATAL, CodeClass.UNCLEAR


class Code(NamedTuple):
    """One code of orders, keys and limits."""

    number: int
    kind: CodeClass
    meaning: str


_ROWS = (
    (-2015, _FATAL, "the key has expired (spot)"),
    (-1, _CLOCK, "the request came too late by its own timestamp"),
    (0, _OK, "taken, which is no evidence that it took effect"),
    (429, _UNCLEAR, "the trading service is overloaded"),
    (10000, _UNCLEAR, "the server ran out of time"),
    (10001, _REFUSED, "a parameter is wrong, or an amend changes nothing"),
    (10002, _CLOCK, "the timestamp is outside of the window"),
    (
        10003,
        _FATAL,
        "the key is not known here: wrong, or of another environment; on the trade socket also too many sessions",
    ),
    (10004, _FATAL, "the signature is wrong"),
    (10005, _FATAL, "the key lacks the permission"),
    (10006, _THROTTLED, "too many requests a second"),
    (10007, _FATAL, "the account could not be told"),
    (10008, _FATAL, "the account is banned or of the wrong mode"),
    (10009, _FATAL, "the service is closed to this region"),
    (10010, _FATAL, "the key is bound to other addresses"),
    (10014, _DUPLICATE, "the same request was there already"),
    (10016, _UNCLEAR, "an internal error, or a restart"),
    (10017, _REFUSED, "there is no such address"),
    (10018, _THROTTLED, "too many requests from this address (no longer used)"),
    (10019, _BUSY, "the trade socket's service restarts and takes nothing new"),
    (10024, _FATAL, "compliance rules stand against it"),
    (10027, _FATAL, "the account may not trade"),
    (10028, _FATAL, "only a unified account may do this"),
    (10029, _REFUSED, "the symbol is not on the key's list"),
    (10403, _THROTTLED, "too many requests a second from this address, on the trade socket"),
    (10404, _REFUSED, "the operation or the category is not known to the trade socket"),
    (10429, _THROTTLED, "the system protects itself from too many requests"),
    (20003, _THROTTLED, "too many requests in one session of the trade socket"),
    (20006, _DUPLICATE, "the request id was used before"),
    (30035, _THROTTLED, "cancels of options come too fast"),
    (30133, _REFUSED, "institutional lending does not allow the USDT perpetual"),
    (30134, _REFUSED, "institutional lending does not allow the USDC contract"),
    (30135, _REFUSED, "the leverage is above what institutional lending allows (USDT)"),
    (30136, _REFUSED, "the leverage is above what institutional lending allows (USDC)"),
    (30208, _REFUSED, "the price is above the highest that may be bid"),
    (30209, _REFUSED, "the price is below the lowest that may be asked"),
    (30228, _REFUSED, "no new position in an instrument that is being delisted"),
    (30256, _REFUSED, "the margin needed is above what the loan's ratio allows (spot)"),
    (33004, _FATAL, "the key has expired (derivatives)"),
    (34040, _REFUSED, "nothing to change"),
    (40004, _UNCLEAR, "the order changed while it was being changed"),
    (100028, _REFUSED, "a unified account may not do this"),
    (110001, _GONE, "no such order"),
    (110003, _REFUSED, "the price is out of the allowed range"),
    (110004, _REFUSED, "the wallet has not enough"),
    (110005, _REFUSED, "the position's state does not allow it"),
    (110006, _REFUSED, "the assets do not cover the position's margin"),
    (110007, _REFUSED, "not enough is available"),
    (110008, _GONE, "the order has filled or was cancelled"),
    (110009, _REFUSED, "too many stop orders"),
    (110010, _GONE, "the order was cancelled"),
    (110011, _REFUSED, "it would liquidate at once"),
    (110012, _REFUSED, "not enough is available"),
    (110013, _REFUSED, "the risk limit does not allow the leverage"),
    (110014, _REFUSED, "not enough is available to add margin"),
    (110015, _REFUSED, "the position has cross margin"),
    (110016, _REFUSED, "the quantity is above the risk limit (no longer used)"),
    (110017, _REFUSED, "the quantity would be cut to zero"),
    (110018, _REFUSED, "the user id is none"),
    (110019, _REFUSED, "the order id is none"),
    (110020, _REFUSED, "more than 500 orders would be open"),
    (110021, _REFUSED, "the open interest limits the position"),
    (110022, _REFUSED, "the quantity may not be increased"),
    (110023, _REFUSED, "the position may only be reduced"),
    (110024, _REFUSED, "with a position the mode cannot change"),
    (110025, _REFUSED, "the position mode is so already"),
    (110026, _REFUSED, "the margin mode is so already"),
    (110027, _REFUSED, "the margin is so already"),
    (110028, _REFUSED, "with open orders the mode cannot change"),
    (110029, _REFUSED, "the symbol has no hedge mode"),
    (110030, _DUPLICATE, "the order id is used (no longer used)"),
    (110031, _REFUSED, "no such risk limit"),
    (110032, _REFUSED, "the order is not a legal one"),
    (110033, _REFUSED, "without a position there is no margin to set"),
    (110034, _REFUSED, "there is no net position"),
    (110035, _UNCLEAR, "cancelling was not finished before a liquidation"),
    (110036, _REFUSED, "cross margin fixes the leverage"),
    (110037, _REFUSED, "the account's settings lack the symbol"),
    (110038, _REFUSED, "portfolio margin fixes the leverage"),
    (110039, _REFUSED, "the maintenance margin is too high"),
    (110040, _REFUSED, "it would force a liquidation"),
    (110041, _REFUSED, "with a position or order liquidation cannot be skipped"),
    (110042, _REFUSED, "before delivery the position may only be reduced"),
    (110043, _REFUSED, "the leverage is so already"),
    (110044, _REFUSED, "not enough margin is available"),
    (110045, _REFUSED, "the wallet has not enough"),
    (110046, _REFUSED, "it would liquidate at once"),
    (110047, _REFUSED, "too little margin for the risk limit"),
    (110048, _REFUSED, "the position is above the new risk limit"),
    (110049, _REFUSED, "a note is not a number"),
    (110050, _REFUSED, "no such coin"),
    (110051, _REFUSED, "the balance does not cover the lowest market price"),
    (110052, _REFUSED, "the balance does not cover the price"),
    (110053, _REFUSED, "the balance does not cover the market price and its limit"),
    (110054, _REFUSED, "a take-profit order fixes the mode"),
    (110055, _REFUSED, "a stop-loss order fixes the mode"),
    (110056, _REFUSED, "a trailing stop fixes the mode"),
    (110057, _REFUSED, "the order has parameters of a take-profit or stop-loss"),
    (110058, _REFUSED, "too little position is left for a take-profit or stop-loss"),
    (110059, _REFUSED, "the take-profit of a partly filled order cannot change"),
    (110060, _REFUSED, "in full mode the take-profit cannot change"),
    (110061, _REFUSED, "more than 20 partial take-profits"),
    (110062, _REFUSED, "no market maker protection is known"),
    (110063, _REFUSED, "a settlement is under way"),
    (110064, _GONE, "the new quantity is not above what has filled"),
    (110065, _REFUSED, "the account has no market maker protection"),
    (110066, _REFUSED, "trading is not allowed now"),
    (110067, _REFUSED, "not for a unified account"),
    (110068, _REFUSED, "leverage is not allowed"),
    (110069, _REFUSED, "not for a customer of institutional lending"),
    (110070, _REFUSED, "leveraged tokens cannot be traded"),
    (110071, _REFUSED, "the account's upgrade is closed"),
    (110072, _DUPLICATE, "the client order id was used before"),
    (110073, _REFUSED, "the margin mode was not set"),
    (110074, _REFUSED, "the contract is not live"),
    (110075, _REFUSED, "the risk id is so already (no longer used)"),
    (110076, _REFUSED, "only isolated margin adds by itself"),
    (110077, _REFUSED, "not in portfolio margin"),
    (110078, _REFUSED, "more margin than can be taken back"),
    (110079, _BUSY, "the order is being processed"),
    (110080, _REFUSED, "the loan's ratio is at liquidation"),
    (110082, _REFUSED, "there is no reduce-only limit to lift"),
    (110083, _REFUSED, "reduce-only must be lifted on both sides"),
    (110085, _REFUSED, "the contract's risk limit has changed"),
    (110086, _REFUSED, "the leverage is above the risk tier"),
    (110087, _REFUSED, "the leverage is above the loan's"),
    (110088, _REFUSED, "the account is not unified"),
    (110089, _REFUSED, "above the highest risk limit"),
    (110090, _REFUSED, "the position would be above its maximum"),
    (110092, _REFUSED, "the trigger price is not above the market"),
    (110093, _REFUSED, "the trigger price is not below the market"),
    (110094, _REFUSED, "the order is worth too little"),
    (110095, _REFUSED, "no orders in a call auction"),
    (110096, _REFUSED, "pre-market contracts have no portfolio margin"),
    (110097, _REFUSED, "pre-market contracts need a unified account"),
    (110098, _REFUSED, "only GTC orders in a call auction"),
    (110099, _REFUSED, "no take-profit or stop-loss in a call auction"),
    (110100, _REFUSED, "no pre-market contracts on a demo account"),
    (110101, _REFUSED, "the settlement coin must be collateral"),
    (110102, _REFUSED, "the account has no inverse contracts"),
    (110103, _REFUSED, "only post-only orders at this stage"),
    (110104, _REFUSED, "the loan's ratio is too high to open inverse contracts"),
    (110105, _REFUSED, "the loan's ratio is too high for inverse contracts"),
    (110106, _REFUSED, "the loan does not list the inverse contract"),
    (110107, _REFUSED, "the leverage is above the loan's for inverse contracts"),
    (110108, _REFUSED, "the tolerance is not 1 to 10000 ticks"),
    (110109, _REFUSED, "the tolerance is not 0.01 % to 10 %"),
    (110110, _REFUSED, "no spread trading with isolated margin"),
    (110111, _REFUSED, "spread trading needs a newer account"),
    (110112, _REFUSED, "no spread trading with copy trading"),
    (110113, _REFUSED, "no spread trading in hedge mode"),
    (110114, _REFUSED, "a spread order is under way"),
    (110115, _REFUSED, "a leg is cancelled with its whole order only"),
    (110116, _REFUSED, "the price of a leg is out of limits"),
    (110117, _REFUSED, "a leg is changed with its whole order only"),
    (110118, _REFUSED, "no market price, for want of liquidity"),
    (110119, _REFUSED, "the order kind is for approved market makers"),
    (110120, _REFUSED, "the price is below the limit"),
    (110121, _REFUSED, "the price is above the limit"),
    (110123, _REFUSED, "the trading terms were not accepted"),
    (110124, _REFUSED, "trading is stopped for a cooling-off time"),
    (110125, _REFUSED, "the contract's terms were not accepted"),
    (110131, _REFUSED, "the margin needed is above what the loan's ratio allows (perpetuals)"),
    (110132, _REFUSED, "not offered in this region"),
    (110135, _REFUSED, "an event contract stands against it"),
    (110136, _REFUSED, "event contracts are for listed accounts"),
    (110137, _REFUSED, "the event contract may only be reduced now"),
    (170001, _UNCLEAR, "an internal error"),
    (170005, _THROTTLED, "too many new orders"),
    (170007, _UNCLEAR, "the backend did not answer in time"),
    (170010, _REFUSED, "the leveraged token's position limit"),
    (170011, _REFUSED, "the innovation token's position limit"),
    (170019, _REFUSED, "the token's remaining limit"),
    (170031, _REFUSED, "the feature is suspended"),
    (170032, _UNCLEAR, "a network error inside the exchange"),
    (170033, _REFUSED, "too little margin"),
    (170034, _REFUSED, "the liability would be too large"),
    (170035, _UNCLEAR, "handed over for processing"),
    (170036, _REFUSED, "margin trading is not turned on"),
    (170037, _REFUSED, "the coin has no margin trading"),
    (170105, _REFUSED, "a parameter is empty"),
    (170115, _REFUSED, "no such time in force"),
    (170116, _REFUSED, "no such order type"),
    (170117, _REFUSED, "no such side"),
    (170121, _REFUSED, "no such symbol"),
    (170124, _REFUSED, "the amount is too large"),
    (170130, _REFUSED, "a parameter is not valid"),
    (170131, _REFUSED, "the balance is too small"),
    (170132, _REFUSED, "the price is too high"),
    (170133, _REFUSED, "the price is too low"),
    (170134, _REFUSED, "the price has too many decimals"),
    (170136, _REFUSED, "the quantity is too small"),
    (170137, _REFUSED, "the quantity has too many decimals"),
    (170139, _GONE, "the order has filled"),
    (170140, _REFUSED, "the order is worth too little"),
    (170141, _DUPLICATE, "the client order id was used before"),
    (170142, _GONE, "the order was cancelled"),
    (170143, _GONE, "the order is not in the book"),
    (170144, _BUSY, "the order is locked"),
    (170145, _REFUSED, "orders of this type cannot be cancelled"),
    (170146, _UNCLEAR, "placing ran out of time"),
    (170147, _UNCLEAR, "cancelling ran out of time"),
    (170148, _REFUSED, "the market order's amount has too many decimals"),
    (170149, _UNCLEAR, "placing failed, for no reason given"),
    (170150, _UNCLEAR, "cancelling failed, for no reason given"),
    (170151, _REFUSED, "the pair is not open yet"),
    (170157, _REFUSED, "the pair is closed to the API"),
    (170159, _REFUSED, "no market orders right after a listing"),
    (170190, _GONE, "the cancel is done"),
    (170191, _BUSY, "it cannot be cancelled right now"),
    (170192, _REFUSED, "the price is above the limit"),
    (170193, _REFUSED, "the bid is above the limit"),
    (170194, _REFUSED, "the ask is below the limit"),
    (170195, _REFUSED, "the leveraged token's bid is off its value"),
    (170196, _REFUSED, "the leveraged token's ask is off its value"),
    (170197, _REFUSED, "too much is bought at once"),
    (170198, _REFUSED, "too much is sold at once"),
    (170199, _REFUSED, "too much of the leveraged token is bought at once"),
    (170200, _REFUSED, "too much of the leveraged token is sold at once"),
    (170201, _REFUSED, "no such order filter"),
    (170202, _REFUSED, "a take-profit or stop-loss price is missing"),
    (170203, _REFUSED, "the trigger price is too high"),
    (170204, _REFUSED, "the trigger price is too low"),
    (170206, _REFUSED, "no stop orders right after a listing"),
    (170207, _REFUSED, "the platform has not enough to lend"),
    (170209, _REFUSED, "the pair is for other regions"),
    (170210, _REFUSED, "the new order was refused"),
    (170212, _UNCLEAR, "the cancel is under way"),
    (170213, _GONE, "no such order"),
    (170215, _REFUSED, "the loan's ratio stops buying"),
    (170216, _REFUSED, "the leverage is above the loan's"),
    (170217, _REFUSED, "only post-only orders for this pair now"),
    (170218, _REFUSED, "a post-only order would take"),
    (170219, _REFUSED, "the account has not this feature"),
    (170220, _REFUSED, "the loan's ratio stops spot trading"),
    (170221, _REFUSED, "no such coin"),
    (170222, _THROTTLED, "too many requests in this time"),
    (170223, _REFUSED, "the loan is at its alert or liquidation"),
    (170224, _REFUSED, "not a user of the innovation zone"),
    (170226, _REFUSED, "the margin account is being liquidated"),
    (170227, _REFUSED, "the feature is not there"),
    (170228, _REFUSED, "more is bought than is estimated to be possible"),
    (170229, _REFUSED, "more is sold than is estimated to be possible"),
    (170230, _REFUSED, "margin trading was turned off for the loan"),
    (170234, _UNCLEAR, "a system error"),
    (170241, _REFUSED, "the project's risks were not accepted"),
    (170310, _UNCLEAR, "changing ran out of time"),
    (170311, _UNCLEAR, "changing failed, for no reason given"),
    (170312, _REFUSED, "the order cannot be changed"),
    (170313, _GONE, "the new quantity is below what has filled"),
    (170341, _REFUSED, "the quantity is above the maximum"),
    (170344, _REFUSED, "the symbol has no margin trading"),
    (170346, _REFUSED, "the settlement coin is no collateral"),
    (170348, _REFUSED, "the account belongs to the Turkish site"),
    (170355, _REFUSED, "the order kind is for approved market makers"),
    (170358, _REFUSED, "the site has no leveraged tokens"),
    (170359, _REFUSED, "the site has no leveraged trading"),
    (170360, _REFUSED, "the symbol cannot be traded without collateral"),
    (170371, _REFUSED, "the price is below the limit"),
    (170372, _REFUSED, "the price is above the limit"),
    (170381, _REFUSED, "the quantity is too large"),
    (170382, _REFUSED, "the quantity is too large"),
    (170709, _REFUSED, "the loan does not list the pair"),
    (170810, _REFUSED, "more than 500 orders would be open"),
    (181017, _REFUSED, "the status asked for is not a final one"),
    (182011, _REFUSED, "the platform takes no more of this collateral"),
    (182100, _REFUSED, "no repayment while positions are being closed"),
    (182101, _REFUSED, "too little collateral to repay"),
    (182102, _REFUSED, "nothing to repay in this coin"),
    (182103, _REFUSED, "not for users of institutional lending"),
    (182108, _REFUSED, "the switch fails the margin check"),
    (182110, _REFUSED, "the switch failed"),
    (182111, _REFUSED, "the coin cannot be switched"),
    (182112, _REFUSED, "a coin is named twice"),
    (500010, _REFUSED, "the subaccount is of another account"),
    (500011, _REFUSED, "the user has no unified account"),
    (3100181, _REFUSED, "a user id is missing"),
    (3100197, _FATAL, "the account is closed while it is upgraded"),
    (3100326, _REFUSED, "a base coin is missing"),
    (3200316, _REFUSED, "the loan's ratio stops USDC options"),
    (3200317, _REFUSED, "the loan's ratio stops new USDC options"),
    (3200320, _REFUSED, "the loan's ratio is at liquidation"),
    (3200403, _REFUSED, "isolated margin cannot place this order"),
    (3200419, _REFUSED, "pre-market positions stand against portfolio margin"),
    (3200425, _REFUSED, "an event contract stands against portfolio margin"),
    (3200641, _REFUSED, "the platform takes no more of this collateral"),
    (3400052, _REFUSED, "USDC perpetual orders are open"),
    (3400053, _REFUSED, "options orders are open"),
    (3400054, _REFUSED, "USDT perpetual orders are open"),
    (3400071, _REFUSED, "the net assets are too small"),
    (3400139, _REFUSED, "positions and orders are above the contract's risk limit"),
    (3400208, _REFUSED, "positions in hedge or isolated mode are open"),
    (3400209, _REFUSED, "no upgrade near the full hour with USDT positions"),
    (3400210, _REFUSED, "the derivatives account's risk is too high"),
    (3400211, _REFUSED, "the risk after the upgrade would be too high"),
    (3400212, _REFUSED, "no upgrade near the full hour with USDC positions"),
    (3400213, _REFUSED, "the USDC account's risk is too high"),
    (3400214, _UNCLEAR, "a server error"),
    (3401010, _REFUSED, "a leader of copy trading has no portfolio margin"),
)
CODES: dict[int, Code] = {number: Code(number, kind, meaning) for number, kind, meaning in _ROWS}
"""The codes that may answer what this plugin asks, by number."""

AREAS: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
    (
        "spot margin",
        (
            (176002, 176031),
            (176034, 176040),
            (176132, 176139),
            (176201, 176201),
            (182021, 182021),
            (182104, 182107),
        ),
    ),
    (
        "assets",
        (
            (131001, 131004),
            (131065, 131099),
            (131200, 131217),
            (131226, 131233),
            (131239, 131239),
            (140001, 140005),
            (141004, 141004),
            (141019, 141020),
            (141025, 141025),
            (141027, 141027),
            (181000, 181014),
            (181018, 181019),
            (182000, 182000),
            (182200, 182205),
            (700000, 700001),
            (700004, 700004),
            (700007, 700007),
            (700012, 700012),
        ),
    ),
    (
        "fiat conversion",
        (
            (400000, 400007),
            (500000, 500000),
        ),
    ),
    (
        "conversion of small balances",
        (
            (700002, 700002),
            (700005, 700006),
            (700008, 700011),
            (700013, 700013),
            (700016, 700016),
            (700021, 700022),
            (790000, 790001),
        ),
    ),
    (
        "crypto loans",
        (
            (148001, 148042),
            (148047, 148048),
        ),
    ),
    ("older crypto loans", ((177002, 177021),)),
    (
        "institutional loans",
        (
            (3777002, 3777007),
            (3777012, 3777012),
            (3777027, 3777027),
            (3777029, 3777030),
            (3777039, 3777040),
            (3777042, 3777043),
        ),
    ),
    (
        "exchange brokers",
        (
            (3500402, 3500407),
            (3500415, 3500415),
        ),
    ),
    (
        "rewards",
        (
            (400101, 400103),
            (400105, 400105),
            (403001, 403001),
            (404001, 404001),
            (404011, 404011),
            (409011, 409011),
            (500001, 500001),
        ),
    ),
    ("savings", ((180001, 180031),)),
    (
        "user accounts",
        (
            (20096, 20096),
            (81007, 81007),
        ),
    ),
    (
        "rate limits of institutions",
        (
            (3500002, 3500002),
            (3500153, 3500153),
        ),
    ),
    (
        "requests for quotes",
        (
            (110300, 110321),
            (110323, 110323),
            (111008, 111008),
        ),
    ),
    (
        "manual loans",
        (
            (34022001, 34022001),
            (34022003, 34022003),
            (34022010, 34022011),
            (34022014, 34022014),
            (34022027, 34022027),
            (34022030, 34022031),
            (34022033, 34022036),
            (34022038, 34022038),
            (34022041, 34022041),
            (34022044, 34022045),
            (34022047, 34022053),
            (34022094, 34022094),
            (34022107, 34022108),
            (35000011, 35000011),
        ),
    ),
    (
        "trading bots",
        (
            (60061, 60095),
            (60200, 60201),
            (61000, 61010),
        ),
    ),
    (
        "prediction markets",
        (
            (180000, 180000),
            (700003, 700003),
        ),
    ),
)
"""Codes of what this plugin never asks for, as ranges of documented numbers. On an order they count as unlisted."""

HTTP_STATUSES: dict[int, tuple[CodeClass, str]] = {
    400: (_REFUSED, "a malformed request"),
    401: (_FATAL, "no key, or in the wrong place"),
    403: (_THROTTLED, "too many requests from this address, or an address that is not served"),
    404: (_REFUSED, "no such path, or not for this account"),
    429: (_UNCLEAR, "the system protects itself; whether it took the request is not said"),
}
"""Documented statuses of answers without a code. Any other but 200 is unclear."""


def class_of(number: int) -> CodeClass:
    """Return what `number` says of a request; unclear when the documentation does not list it for orders."""
    code = CODES.get(number)
    return CodeClass.UNCLEAR if code is None else code.kind


def meaning_of(number: int) -> str:
    """Return the meaning in our words; the area for codes of other products."""
    code = CODES.get(number)
    if code is not None:
        return code.meaning
    area = next((name for name, ranges in AREAS if any(low <= number <= high for low, high in ranges)), None)
    return "not a documented code" if area is None else f"a code of {area}"


def render_codes() -> str:
    """Return the reference page of all codes, in Markdown."""
    lines = [
        "# Bybit return codes",
        "",
        "What `bybit/spot` and `bybit/linear` do on each code that Bybit documents. Every answer carries one, also",
        "those with HTTP status 200. A code that is not in the first table leaves an order UNKNOWN: it keeps its",
        "exposure, blocks its side and is queried.",
        "",
        "## Classes",
        "",
        "| Class | What happens |",
        "|---|---|",
        *(f"| `{kind.value}` | {kind.action} |" for kind in CodeClass),
        "",
        "## Orders, keys and limits",
        "",
        "| Code | Class | Meaning |",
        "|---:|---|---|",
        *(f"| {code.number} | `{code.kind.value}` | {code.meaning} |" for code in CODES.values()),
        "",
        "## HTTP statuses without a code",
        "",
        "| Status | Class | Meaning |",
        "|---:|---|---|",
        *(f"| {status} | `{kind.value}` | {meaning} |" for status, (kind, meaning) in HTTP_STATUSES.items()),
        "",
        "403 stops every HTTP request for ten minutes, as the exchange demands. Any other status but 200 is `unclear`.",
        "",
        "## Codes of other products",
        "",
        "Nothing that this plugin asks for is answered by them; one that comes all the same is `unclear`.",
        "",
        "| Product | Codes |",
        "|---|---|",
        *(f"| {area} | {', '.join(_shown(low, high) for low, high in ranges)} |" for area, ranges in AREAS),
    ]
    return "\n".join(lines) + "\n"


def _shown(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}-{high}"
