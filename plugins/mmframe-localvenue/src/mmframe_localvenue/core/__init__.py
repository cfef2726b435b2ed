"""The exchange-neutral part: markets, accounts, clock, faults, god view, server plumbing.

How a dialect is made of it:

1. A class with `kind`, `order_limits`, `__init__(core)`, `routes()`, `urls(host)` and `async run()` (`server.Dialect`),
   and one line in `mmframe_localvenue.DIALECTS`.
2. It hears `core.exchange.on_order`, `.on_balances`, each market's `.on_book` and `.on_trade`, and words what they say
   at once: the order stands as the event says only while it is told.
3. A REST handler builds a `RequestSeen` and a function that returns a `Reply`, then
   `return await core.deliver(request, await core.answer(seen, carry_out, words))`. That function checks key, signature,
   time, limits and filters itself, and calls `exchange.place`, `.cancel`, `.amend`, which raise `RefusedError`.
4. A websocket handler is `return await core.open_socket(request, Role.MARKET, Heartbeat(ping_s=20), serve)`, where
   `serve(connection)` awaits `connection.serve(on_text)`. Answers go out by `connection.send` or `core.deliver_socket`,
   stream messages by `connection.send_data(operation, text, role)`.

Operation names, the same in every dialect, so that one fault matrix fits all: `order.place`, `order.test`,
`order.cancel`, `order.cancel-all`, `order.replace`, `order.amend`, `order.status`, `orders.open`, `orders.all`,
`orders.prevented`, `trades.mine`, `account`, `positions`, `permissions`, `time`, `ping`, `info`, `depth`, `trades`,
`ticker`, `candles`, `limits`, `session`, `user-stream.open`, `user-stream.keep`, `user-stream.close`, `dead-man`,
`dead-man.info`, `account.set`, `account.mode`, `account.coins`, `fees`, `income`, `price-band`. Stream messages:
`depth`, `depth.partial`, `book-ticker`, `trade`, `ticker`, `mark-price`, `user-stream` (every private message).
"""

from mmframe_localvenue.core.accounts import (
    Account,
    Balance,
    LinearMoney,
    Position,
    RateWindow,
    SpotMoney,
    UnifiedMoney,
)
from mmframe_localvenue.core.depth import DepthWindow
from mmframe_localvenue.core.exchange import Exchange, VenueClock
from mmframe_localvenue.core.faults import ANY, Fault, FaultScript, Injection
from mmframe_localvenue.core.god import GodView, RequestSeen
from mmframe_localvenue.core.market import BookChange, Market, PublicTrade
from mmframe_localvenue.core.orders import (
    Funding,
    OrderEvent,
    OrderEventKind,
    OrderState,
    PostOnly,
    Refusal,
    RefusedError,
    Ticket,
    VenueFill,
    VenueOrder,
)
from mmframe_localvenue.core.server import Core, Delivery, Dialect, LocalVenue, Reply, Urls, Words
from mmframe_localvenue.core.setup import (
    AccountSetup,
    ApiKey,
    CrowdSetup,
    MarketSetup,
    Permission,
    VenueSetup,
)
from mmframe_localvenue.core.sockets import Connection, Heartbeat, Role

__all__ = [
    "ANY",
    "Account",
    "AccountSetup",
    "ApiKey",
    "Balance",
    "BookChange",
    "Connection",
    "Core",
    "CrowdSetup",
    "Delivery",
    "DepthWindow",
    "Dialect",
    "Exchange",
    "Fault",
    "FaultScript",
    "Funding",
    "GodView",
    "Heartbeat",
    "Injection",
    "LinearMoney",
    "LocalVenue",
    "Market",
    "MarketSetup",
    "OrderEvent",
    "OrderEventKind",
    "OrderState",
    "Permission",
    "Position",
    "PostOnly",
    "PublicTrade",
    "RateWindow",
    "Refusal",
    "RefusedError",
    "Reply",
    "RequestSeen",
    "Role",
    "SpotMoney",
    "Ticket",
    "UnifiedMoney",
    "Urls",
    "VenueClock",
    "VenueFill",
    "VenueOrder",
    "VenueSetup",
    "Words",
]
