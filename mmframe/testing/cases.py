"""The conformance cases: what the kernel needs from a component, each with an id, a rule, a reason and a way out.

The conformance classes name their cases by id; the reference page is made from this table.
"""

from __future__ import annotations

import attrs

__all__ = ["CASES", "Case", "ConformanceError", "render_cases"]


@attrs.frozen
class Case:
    """One conformance case.

    Attributes:
        id: `MM-`, a letter for the kind of component, a number that is never used again for something else.
        rule: What must hold, one sentence.
        reason: What goes wrong in a run when it does not.
        hint: Where to look first when the case fails.
    """

    id: str
    rule: str
    reason: str
    hint: str


class ConformanceError(AssertionError):
    """A component that broke a case; the text shows id, rule, why, was, expected and hint.

    Attributes:
        case: The case.
        was: What was seen.
        expected: What the rule asks for.
    """

    def __init__(self, case: Case, *, was: str, expected: str) -> None:
        super().__init__(
            f"{case.id}: {case.rule}\n"
            f"  was       {was}\n"
            f"  expected  {expected}\n"
            f"  why       {case.reason}\n"
            f"  hint      {case.hint}"
        )
        self.case = case
        self.was = was
        self.expected = expected


_BOOK = (
    Case(
        "MM-B01",
        "The touch equals the reference book's after every message.",
        "Every quote is placed relative to the touch; a wrong one crosses the market or gives money away.",
        "Replay the printed stream by hand; look at removals of the best level and at sides that become empty.",
    ),
    Case(
        "MM-B02",
        "`levels` and `level_count` equal the reference book's, best to worst.",
        "Depth, VWAP and impact are computed from them.",
        "Bids run down, asks run up; `count` above the number of levels returns them all.",
    ),
    Case(
        "MM-B03",
        "`lots_at` and `lots_through` equal the reference book's.",
        "Queue positions and depth within a band of the mid are read through them.",
        "`lots_through` includes the limit price itself; a price without a level has 0 lots.",
    ),
    Case(
        "MM-B04",
        "Removing a level that is not there changes nothing and raises nothing.",
        "Venues send such removals for levels outside a snapshot's depth.",
        "Use a removal that tolerates absence, such as `dict.pop(key, None)`.",
    ),
    Case(
        "MM-B05",
        "An empty book, new or after `clear`, answers zeros and empty lists.",
        "A gap empties the book; the engine must see that there is nothing to quote on.",
        "An empty side of the touch is 0 ticks and 0 lots, never None or a stale level.",
    ),
    Case(
        "MM-B06",
        "`version` counts applied messages: one more after each `apply`, never less, whatever `clear` does.",
        "Readers of lazily made depth use it to know whether what they hold is still true.",
        "Raise it once in `apply`, also when the message changed no level; leave it alone in `clear`.",
    ),
    Case(
        "MM-B07",
        "`apply` reads only changes `start:end` and leaves the columns as they were.",
        "One batch holds many messages, and the engine, sinks and a venue read the same columns.",
        "Loop over `range(start, end)`; never sort or write the arrays that you were given.",
    ),
    Case(
        "MM-B08",
        "Ticks and lots up to 2**53 are exact.",
        "Coins with tiny ticks have such counts, and a rounded one is another price.",
        "Keep integers; if level keys are floats, keep them exact.",
    ),
    Case(
        "MM-B09",
        "Lists that `levels` returned belong to the caller.",
        "A reader that trims its list must not trim the book.",
        "Return a copy or a slice, not the list that the book keeps.",
    ),
    Case(
        "MM-B10",
        "Two books do not share levels, and the same stream gives the same hash.",
        "A strategy has a book per market, and runs are compared by hash.",
        "Look for mutable defaults and class attributes that hold levels.",
    ),
    Case(
        "MM-B11",
        "A deep book stays right while its best levels are swept away and come back far from the touch.",
        "Books that keep only a window of the best prices must refill it; a crash is when that happens.",
        "Check the refill from the whole side, and inserts that are worse than the window's end.",
    ),
    Case(
        "MM-B12",
        "A crossed book is kept as it was told, never repaired.",
        "The engine takes a crossed touch as the sign to resynchronise; a book that hides it hides lost messages.",
        "Remove any clean-up of levels beyond the other side's best.",
    ),
)

_SIGNAL = (
    Case(
        "MM-S01",
        "Before any data `read` returns a float, NaN when nothing is known, and raises nothing.",
        "The engine reads every signal from the first decision on; NaN makes optimizers wait.",
        "Start from NaN state and test for it before dividing.",
    ),
    Case(
        "MM-S02",
        "A value is a float that is finite or NaN, within `bounds` if the test class declares them.",
        "Infinity passes comparisons and turns into a quote at a price that nobody meant.",
        "Guard divisions by zero time, zero size and zero spread.",
    ),
    Case(
        "MM-S03",
        "A value depends only on what this signal saw before.",
        "Look-ahead makes a backtest lie; state shared between markets mixes them.",
        "Look for class attributes, module globals and mutable defaults.",
    ),
    Case(
        "MM-S04",
        "Reading does not change the signal: any number of reads gives the same later values.",
        "How often a strategy decides must not change what it knows.",
        "Decay at read-out in a local variable and leave the state to `on_touch` and `on_trade`.",
    ),
    Case(
        "MM-S05",
        "Messages at one instant and gaps of days keep it finite or NaN.",
        "Real data has bursts at one timestamp and nights without a message.",
        "Divide by elapsed time only when it is above 0; exponents of long gaps underflow to 0 and must be allowed to.",
    ),
    Case(
        "MM-S06",
        "`on_touch` and `on_trade` are callables or None.",
        "The engine skips None once at start instead of calling an empty method on every message.",
        "Set both attributes in `__init__`; use SignalRule to get them.",
    ),
    Case(
        "MM-S07",
        "The same events give the same values, bit for bit, after a rebuild.",
        "A journal replays a live session exactly, or explains nothing.",
        "Take randomness from `context.random` and time from the events.",
    ),
    Case(
        "MM-S08",
        "Memory stays bounded however long the market runs.",
        "A run lasts weeks.",
        "Bound windows by time and by length, and drop what has left them.",
    ),
    Case(
        "MM-S09",
        "A rule's functions can be compiled: numbers and tuples only.",
        "A compiling engine translates the very same functions.",
        "No strings, dicts, `_replace`, raise or try inside the function; params is a NamedTuple of numbers.",
    ),
)

_OPTIMIZER = (
    Case(
        "MM-O01",
        "`propose` returns a QuoteProposal of numbers.",
        "The next stage and the kernel read its fields; another type is a fault that is counted.",
        "Return QuoteProposal(...) with all six fields, or the proposal that you were given.",
    ),
    Case(
        "MM-O02",
        "A side with a size has a finite price above 0, and sizes are finite and at least 0.",
        "NaN compares false with everything, so it would slip through limits; the kernel drops it as a fault.",
        "Return size 0 with a reason when an input is NaN or the formula leaves the plane.",
    ),
    Case(
        "MM-O03",
        "After the kernel's rounding the bid is below the ask.",
        "Both sides at one price trade with ourselves; the kernel counts it as a fault.",
        "Keep the half spread at least one tick, also after skewing for inventory.",
    ),
    Case(
        "MM-O04",
        "NaN signals, zero sizes, absent sides and extreme inventories raise nothing.",
        "An exception skips the decision; three in a row pull the quotes.",
        "Test for NaN with `value != value`, and do not divide by a size, spread or limit that can be 0 or infinite.",
    ),
    Case(
        "MM-O05",
        "The same inputs give the same proposals, bit for bit, after a rebuild.",
        "Runs are compared by the hash of their decisions.",
        "Take randomness from `context.random` and time from `view.now_ns`; iterate over nothing unordered.",
    ),
    Case(
        "MM-O06",
        "Views and inventories are not kept beyond the next call.",
        "Kept views grow without bound over a run.",
        "Copy the numbers that you need into fields or a rule's state.",
    ),
    Case(
        "MM-O07",
        "A side without size says why, with a known reason code.",
        '`mmframe explain` answers "why is there no bid?" from it.',
        "Use a `Reason`, or a code from `Reason.PLUGIN` up that the spec's `reasons` explains.",
    ),
    Case(
        "MM-O08",
        "In a calm market its quotes lie within `distance_max_bps` of the mid.",
        "A unit mistake (bps for a fraction, lots for base units) shows as quotes at half or twice the price.",
        "Check units: bps are 1/10,000, sizes are base units, prices quote units per base unit.",
    ),
    Case(
        "MM-O09",
        "Two optimizers of one spec do not share state.",
        "Each market has its own; shared state mixes them.",
        "Look for class attributes, module globals and mutable defaults.",
    ),
    Case(
        "MM-O10",
        "A rule's function can be compiled: numbers and tuples only.",
        "A compiling engine translates the very same function.",
        "No strings, dicts, `_replace`, raise or try inside the function; params is a NamedTuple of numbers.",
    ),
)

_RISK = (
    Case(
        "MM-R01",
        "`assess` returns a RiskVerdict whose level is a RiskLevel.",
        "The kernel compares levels; an unknown one counts as HALT.",
        "Return RiskVerdict(int(RiskLevel.ALLOW), ...) with all six fields.",
    ),
    Case(
        "MM-R02",
        "It never loosens: bid not higher, ask not lower, sizes not larger, no new side.",
        "A control that can add risk is no control; the kernel turns loosening into a HALT.",
        "Use min for the bid and sizes and max for the ask, against the proposal that you were given.",
    ),
    Case(
        "MM-R03",
        "ALLOW returns the same numbers and reason 0.",
        "The record of a decision shows what a control changed; a silent change explains nothing.",
        "Return SHRINK when any number differs.",
    ),
    Case(
        "MM-R04",
        "A level above ALLOW has a known reason code.",
        '`mmframe explain` answers "what stopped my quotes?" from it.',
        "Use a `Reason`, or a code from `Reason.PLUGIN` up that the spec's `reasons` explains.",
    ),
    Case(
        "MM-R05",
        "NaN signals, absent sides, extreme inventories and losses raise nothing.",
        "A control that raises counts as HALT for its scope: the strategy stops in the middle of the day.",
        "Test for NaN with `value != value`, and treat what you cannot judge as CANCEL_ONLY with a reason.",
    ),
    Case(
        "MM-R06",
        "The same inputs give the same verdicts, bit for bit, after a rebuild.",
        "Runs are compared by the hash of their decisions.",
        "Take time from `view.now_ns` and keep no state outside the control.",
    ),
    Case(
        "MM-R07",
        "A side that still has a size has a finite price above 0, and sizes are finite and at least 0.",
        "NaN compares false with everything, so it would look like tightening.",
        "Compute with the proposal's numbers only on sides that have a size.",
    ),
    Case(
        "MM-R08",
        "Two controls of one spec do not share state.",
        "Each market has its own; a shared latch stops a market that did nothing.",
        "Look for class attributes, module globals and mutable defaults.",
    ),
    Case(
        "MM-R09",
        "A rule's function can be compiled: numbers and tuples only.",
        "A compiling engine translates the very same function.",
        "No strings, dicts, `_replace`, raise or try inside the function; params is a NamedTuple of numbers.",
    ),
    Case(
        "MM-R10",
        "It asks for LIQUIDATE only when its spec says how, and its spec says how only for options that it takes.",
        "Positions cannot be closed without a pace and a price cap; the kernel takes it for a fault and halts.",
        "Give the spec `liquidation`, a function of the options that returns `LiquidationTerms`; or return HALT.",
    ),
)

_HISTORY = (
    Case(
        "MM-H01",
        "Every batch is a valid MarketBatch of a market of the strategy.",
        "The engine walks the columns without checks.",
        "Call `batch.validate()` in your own tests; close every message with `end_message`.",
    ),
    Case(
        "MM-H02",
        "Receive time never goes back, within a batch, between batches and between markets.",
        "The driver merges markets and venue events by receive time; going back is look-ahead.",
        "Merge files by receive time, and end a market's batch where another market's message comes between.",
    ),
    Case(
        "MM-H03",
        "Each call of `batches` starts anew and yields the same.",
        "A backtest may be run twice in one process, and the second run must see the same market.",
        "Open the files inside the generator, not in `__init__`.",
    ),
    Case(
        "MM-H04",
        "A market's first book message is a SNAPSHOT or a GAP, and after a GAP comes a SNAPSHOT before any DELTA.",
        "Deltas on an unknown book make a book that never existed.",
        "Drop deltas until the first snapshot, and again after each gap.",
    ),
    Case(
        "MM-H05",
        "A row that cannot be read is a DataError with file and line.",
        "A day has millions of rows; an error without a line cannot be fixed.",
        "Count lines as you read and raise DataError(..., file=..., line=...).",
    ),
    Case(
        "MM-H06",
        "A batch has at most `batch_messages_max` messages.",
        "Memory of a day's replay must stay flat.",
        "Cut batches by number of messages while streaming.",
    ),
    Case(
        "MM-H07",
        "Prices and sizes are above 0, except the 0 lots that remove a level; a GAP has no changes.",
        "A level at price 0 is an empty cell that was read as a number.",
        "Skip empty cells of short sides; check the scale of ticks and lots.",
    ),
    Case(
        "MM-H08",
        "It yields at least one message.",
        "An empty backtest that ends well is a wrong path or a filter that matches nothing.",
        "Raise DataError when no row belongs to the strategy's markets.",
    ),
)

_FEED = (
    Case(
        "MM-F01",
        "`next_event_ns` is the time when `poll` next has something: a virtual feed has one after being built, and a "
        "live one says NEVER_NS.",
        "The driver jumps to that time; a wrong one stops or rushes the market.",
        "Set the attribute in `__init__`, as an int of nanoseconds UTC, and again in each `poll`.",
    ),
    Case(
        "MM-F02",
        "`poll` returns only what was received up to `now_ns`.",
        "Anything later is look-ahead.",
        "Stop at the first message whose receive time is after `now_ns`.",
    ),
    Case(
        "MM-F03",
        "`poll` returns each message once.",
        "A trade that is seen twice moves queues and volumes twice.",
        "Hand over the batch and start a new one.",
    ),
    Case(
        "MM-F04",
        "How often it is polled does not change the messages of a virtual feed.",
        "Paper at any speed must show the same market.",
        "Make events at their own times, not at the time of `poll`.",
    ),
    Case(
        "MM-F05",
        "Every batch is a valid MarketBatch of a market of the strategy, in receive order.",
        "The engine walks the columns without checks.",
        "Call `batch.validate()` in your own tests; close every message with `end_message`.",
    ),
    Case(
        "MM-F06",
        "A market's first book message is a SNAPSHOT or a GAP, and after a GAP comes a SNAPSHOT before any DELTA.",
        "A book is out of sync until its first snapshot; deltas before it make a book that never existed.",
        "Send the whole book first.",
    ),
    Case(
        "MM-F07",
        "`run` ends at once when cancelled, and a virtual feed's `run` returns by itself.",
        "Ctrl+C must end a run; a task that swallows cancellation keeps the process alive.",
        "Catch no CancelledError, or raise it again; put a checkpoint into every loop.",
    ),
    Case(
        "MM-F08",
        "A virtual feed that is rebuilt with the same seed yields the same messages.",
        "Runs are compared by hash.",
        "Take every random number from `context.random`.",
    ),
    Case(
        "MM-F09",
        "`next_event_ns` never goes back, and lies after `now_ns` when `poll` has drained it.",
        "A feed that is due forever at one instant hangs the driver.",
        "Advance it in `poll`, or set NEVER_NS at the end.",
    ),
    Case(
        "MM-F10",
        "The book that follows from a virtual feed is never crossed.",
        "A crossed book pulls all quotes.",
        "Remove what a new level trades against in the same message.",
    ),
)

_VENUE = (
    Case(
        "MM-V01",
        "Anything but an Approved is refused with TypeError.",
        "The gate's limits hold only if nothing reaches a venue around it.",
        "Start `execute` with `if not isinstance(approved, Approved): raise TypeError(...)`.",
    ),
    Case(
        "MM-V02",
        "Every submit is answered, by client id, as an event of `poll`.",
        "An order without an answer is UNKNOWN: it blocks its side and its exposure.",
        "Queue an OrderUpdate with request SUBMIT for each submit, refused ones too.",
    ),
    Case(
        "MM-V03",
        "A second submit with a client id that was used is refused.",
        "That is what makes it safe to ask again what became of an order.",
        "Keep used client ids, also of orders that are done; or declare has_idempotent_client_id=False.",
    ),
    Case(
        "MM-V04",
        "A post-only order never takes.",
        "A maker's profit is a few basis points; a taker's fee eats it.",
        "Compare with the touch at the moment of arrival and refuse what would cross.",
    ),
    Case(
        "MM-V05",
        "Fills never exceed the order's size, never are worse than its limit and have trade ids of their own.",
        "Positions are the sum of fills, counted once by trade id.",
        "Take the smaller of what is left of both sides; number trades by a counter that never repeats.",
    ),
    Case(
        "MM-V06",
        "A cancel of an unknown order is answered UNCHANGED, not raised.",
        "Cancels cross fills on the wire; that is everyday life, not an error.",
        "Answer every cancel by an OrderUpdate with request CANCEL.",
    ),
    Case(
        "MM-V07",
        "A query is answered with the order's status, or NOT_FOUND.",
        "It is how an UNKNOWN order is resolved.",
        "Answer with request QUERY; tell price, size and filled size of a known order.",
    ),
    Case(
        "MM-V08",
        "The report of open orders lists exactly the open orders.",
        "The start and the stop of a run are verified by it.",
        "List resting orders of the asked market only, with what is filled so far.",
    ),
    Case(
        "MM-V09",
        "After CancelAll the report of open orders is empty and every order had its CANCELED.",
        "A stop must leave nothing behind, and prove it.",
        "Answer each order that it removed; ALL_MARKETS means all.",
    ),
    Case(
        "MM-V10",
        "An amend that names an old version is refused and changes nothing.",
        "It was computed from an order that no longer exists in that form.",
        "Compare expected_version first and answer UNCHANGED on a conflict.",
    ),
    Case(
        "MM-V11",
        "`poll` returns each event once, nothing before `next_event_ns`, and time never goes back.",
        "The driver jumps from event to event; an early or repeated one breaks cause and effect.",
        "Keep a queue ordered by time; set next_event_ns to its head or to NEVER_NS.",
    ),
    Case(
        "MM-V12",
        "A virtual venue that is rebuilt with the same seed gives the same events.",
        "Runs are compared by hash.",
        "Take every random number from `context.random`.",
    ),
    Case(
        "MM-V13",
        "An IOC order never rests.",
        "What is meant to take or go away must not wait to be picked off.",
        "Cancel the remainder in the same step as the match.",
    ),
    Case(
        "MM-V14",
        "A replace ends with the truth about both orders: one lives under the new id, or none, as answered.",
        "A replace that leaves both orders doubles the exposure.",
        "Answer REPLACED, CANCELED_ONLY, UNCHANGED or BOTH_LIVE according to what really rests.",
    ),
)

_LIVE_VENUE = (
    Case(
        "MM-L01",
        "It begins down, tells balances and positions, and only then that it is up.",
        "An engine that quotes before it knows what it owns quotes on a guess.",
        "Emit BalanceUpdate (and PositionReport) from REST before the first VenueStatus(is_up=True).",
    ),
    Case(
        "MM-L02",
        "It declares itself live and refuses anything but an Approved with TypeError.",
        "The driver's clock and the gate's limits hang on it.",
        "capabilities.is_virtual=False, next_event_ns=NEVER_NS; `execute` checks the type first.",
    ),
    Case(
        "MM-L03",
        "A submit is told OPEN with the exchange's own id once the exchange has it.",
        "An acknowledgement that is no evidence makes the engine count on an order that is not there.",
        "Translate the exchange's order state, not the receipt of the request.",
    ),
    Case(
        "MM-L04",
        "Each execution is told as a Fill, before the update that ends its order, with price, side, fee and asset.",
        "Position and profit are the sum of fills.",
        "Make fills from executions, not from cumulated sizes; queue them before the order's update.",
    ),
    Case(
        "MM-L05",
        "A submit whose reply is lost is UNKNOWN, is found by a query, and was sent once.",
        "Sending again doubles the exposure; calling it rejected forgets it.",
        "Answer UNKNOWN on a timeout or a broken connection; repeat nothing.",
    ),
    Case(
        "MM-L06",
        "A submit that was lost on its way is UNKNOWN, then NOT_FOUND by a query, and was not sent again.",
        "Only the exchange can say that there is no order.",
        "Answer a query NOT_FOUND when order, open orders and trades know nothing of the id.",
    ),
    Case(
        "MM-L07",
        "An answer by which the exchange itself does not know the outcome is UNKNOWN.",
        "A 5xx after execution is everyday life at an exchange.",
        "Sort error codes into definitive ones and the rest; the rest is UNKNOWN.",
    ),
    Case(
        "MM-L08",
        "A cancel of an order that is not there is UNCHANGED without a size.",
        "It may have filled; calling it canceled loses a position.",
        "Translate 'unknown order' of a cancel into OrderStatus.UNCHANGED with size_lots=0.",
    ),
    Case(
        "MM-L09",
        "A cancel is told CANCELED, and the fills before it are told.",
        "A partly filled order that is canceled leaves a position.",
        "Tell filled_lots with the cancel; fetch executions that the stream has not told.",
    ),
    Case(
        "MM-L10",
        "The list of open orders is the exchange's whole list, orders of others included.",
        "A run starts and stops by it.",
        "Ask every page; keep orders with foreign client ids.",
    ),
    Case(
        "MM-L11",
        "After CancelAll every order was told CANCELED and none is left.",
        "A stop must leave nothing behind.",
        "Some exchanges cancel a bounded number at once: ask again until nothing is left.",
    ),
    Case(
        "MM-L12",
        "What another hand does to our orders is told.",
        "A person at the web page is a normal part of a trading day.",
        "Translate every order message of the private stream, asked for or not.",
    ),
    Case(
        "MM-L13",
        "A broken private stream is told at once, and 'up' comes after the fills that were missed.",
        "Quoting on an account that one cannot see is how positions run away.",
        "On reconnect fetch executions since the last one seen, with a margin, then say up.",
    ),
    Case(
        "MM-L14",
        "One execution has one trade id, whether a stream, a backfill or a query tells it.",
        "Fills are counted once by it.",
        "Use the exchange's trade or execution id everywhere, never a number of your own.",
    ),
    Case(
        "MM-L15",
        "A post-only order that would take is REJECTED and trades nothing.",
        "A maker's profit is a few basis points; a taker's fee eats it.",
        "Use the exchange's post-only; translate its way of refusing it, often a cancel, into REJECTED.",
    ),
    Case(
        "MM-L16",
        "Amend and replace end as told: the size that was asked to rest, under the id that was told.",
        "The gate reserves exposure by it.",
        "`leaves_lots` rests beside what is filled: most exchanges want the whole size.",
    ),
    Case(
        "MM-L17",
        "A request before it is up is answered, and REJECTED only if it did not leave.",
        "A request without an answer blocks its side.",
        "Queue with a bound, or refuse at once.",
    ),
    Case(
        "MM-L18",
        "No secret is in a log record, an event or a repr.",
        "Logs are sent to people and services that must not trade.",
        "Reveal a Secret only where bytes are signed; log paths, never queries or headers.",
    ),
    Case(
        "MM-L19",
        "`run` ends when it is cancelled.",
        "A run that cannot end cannot say what it left behind.",
        "Shield only what is short; close sockets with a deadline.",
    ),
)

_LLM_PROVIDER = (
    Case(
        "MM-M01",
        "`body` gives the same bytes for the same question, after a rebuild too, and other bytes for another question.",
        "A recorded reply is found by the hash of the body; one with a time or a counter in it is never found again.",
        "Make it from the question and the options alone, keys in one order; put no key, time or id into it.",
    ),
    Case(
        "MM-M02",
        "One call of `complete` sends one request, whose body is `body`, however the call ends.",
        "Trying again costs money and time, and only the caller knows whether there is any left.",
        "Switch the retries of your HTTP client off; send what `body` returned.",
    ),
    Case(
        "MM-M03",
        "A good answer is OK, with the model's text unchanged, the model that answered and the server's request id.",
        "Salvage is counted where replies are parsed, and a model that was exchanged behind one name must be seen.",
        "Hand the text through, whatever it says; read the model from the answer, the id from the headers.",
    ),
    Case(
        "MM-M04",
        "Usage counts cached tokens as part of the input; what is not told, or cannot be, is estimated from above and "
        "marked.",
        "Budgets are kept by it: too little spends money that is not there.",
        "OpenAI's prompt tokens include cached ones, Anthropic's input tokens do not; check signs and types.",
    ),
    Case(
        "MM-M05",
        "An answer that is blank, cut by its bound, refused or filtered has its own status and no text.",
        "Half an answer may parse, and say something else than the whole.",
        "Look at the reason for the ending before the text.",
    ),
    Case(
        "MM-M06",
        "An HTTP error has the status that says what to do: change something, find money, wait, or try later.",
        "A refused key that is tried for ever, or a full stop after one 503, are both outages.",
        "400, 401, 403, 404, 413, 422: CONFIG. 402 and exhausted quota: QUOTA. 429, 529: RATE_LIMITED. 408, 409, 5xx: "
        "UNAVAILABLE.",
    ),
    Case(
        "MM-M07",
        "`retry_after_ns` is what the server asks for, in seconds, milliseconds or as a date.",
        "A server that is asked too early counts that too.",
        "Use `mmframe.net.model_api.wait_ns`.",
    ),
    Case(
        "MM-M08",
        "A server that hangs, or drips blanks, is left after `timeout_s`: UNAVAILABLE, with the worst usage.",
        "A read timeout starts anew with each byte, and the question may have been answered and billed.",
        "Put an overall deadline around the call, such as `HttpSession.send(total_s=...)`.",
    ),
    Case(
        "MM-M09",
        "Whatever else comes back, cut, huge, HTML, deep, an error in a success, ends in a status other than OK.",
        "An exception would end the thread that asks; an unbounded body would end the process.",
        "Bound the body, decode strictly, check each type on the way to the text.",
    ),
    Case(
        "MM-M10",
        "Neither key nor question is in a detail, repr, log record, address or body of another; the key is in no text.",
        "Logs and journals are sent to people who must not spend the account's money.",
        "Show the server's code for an error, never its message; reveal the key where the header is made.",
    ),
    Case(
        "MM-M11",
        "`models` returns what the server lists; without a list it is empty and OK, and a failure is a status.",
        "`mmframe llm check` asks it first, and must say what is wrong.",
        "Treat 404 as no list; classify the rest like the answers of `complete`.",
    ),
    Case(
        "MM-M12",
        "A cancelled call leaves the provider usable, and `aclose` leaves no connection open and no other provider "
        "without one.",
        "Advisers come and go with a run; connections that stay are refused by the server one day.",
        "Count the users of a shared session; close it with the last.",
    ),
    Case(
        "MM-M13",
        "What a server writes into names and ids is shown short and without control characters.",
        "It goes to terminals and logs, where an escape sequence is a command.",
        "Use `mmframe.net.model_api.shown`.",
    ),
    Case(
        "MM-M14",
        "A provider that takes batches gives each question its own reply, whatever order answers come in; one left out "
        "costs nothing; and a batch that may have been begun is not FAILED, and is found by its label.",
        "A reply to another question is a wrong label, and a batch taken for refused is submitted and paid for twice.",
        "Join by id; make whatever is not a clear refusal UNKNOWN; use `mmframe.net.model_batch`.",
    ),
)

_ADVISER = (
    Case(
        "MM-A01",
        "The same pictures make the same question, byte for byte, in every instance and whatever was asked before.",
        "A replay finds the recorded reply by the hash of the question.",
        "Look for clocks, random numbers, sets and state that `request` or `read` leave behind.",
    ),
    Case(
        "MM-A02",
        "A question is about exactly the markets of the pictures, in their order; no pictures are no question.",
        "Answers are matched to markets by it.",
        "Take `picture.market`, which need not be the picture's place; fifty pictures must fit into one question.",
    ),
    Case(
        "MM-A03",
        "A question tells no balance, no profit, no date and, unless it is meant to, no symbol.",
        "Third parties see every question, and a model that knows market and day may know what came next.",
        "Tell prices relative to the mid, sizes relative to the order size, times as ages; name markets M1, M2, ...",
    ),
    Case(
        "MM-A04",
        "A question holds the word JSON, a usable name of the reply, room for it, and no control characters.",
        "Models in JSON mode that are not told to write JSON write blanks until their limit, and those are billed.",
        "Escape or drop text that came from outside; `reply_name` takes letters, digits, `_` and `-`.",
    ),
    Case(
        "MM-A05",
        "The schema of the reply is canonical JSON within what strict modes take: one object, every key required, no "
        "other allowed, references only to its own `$defs`.",
        "Providers refuse others, and one that is written differently each time is another question.",
        "Make it with `mmframe.plugin.replies.ReplySchema`.",
    ),
    Case(
        "MM-A06",
        "A reply that follows the schema is an answer for each market, finite and within the ranges of advice.",
        "A model that does what it was asked and is rejected costs money for nothing.",
        "Make prompt, schema and reader from the same fields.",
    ),
    Case(
        "MM-A07",
        "Hostile text is a rejection for each market, with a short detail that can be shown.",
        "Models are told by others what to say, and half an answer is none.",
        "Read the whole text as one object; never search for braces with regular expressions.",
    ),
    Case(
        "MM-A08",
        "Any text is read without an exception, into one entry a market; what is taken is finite and within range.",
        "What raises would take the other markets' advice with it.",
        "Bound length and depth before parsing; catch RecursionError and the limit on digits of integers.",
    ),
    Case(
        "MM-A09",
        "A fault in what is said of one market costs the advice for that market alone.",
        "With fifty markets in a question, one slip would otherwise cost them all.",
        "Judge each market by itself once the reply is known to be one object.",
    ),
    Case(
        "MM-A10",
        "Every field is read strictly: right type, finite, in range, known word, there once, no key beside it.",
        "Half-right numbers are how a model that was misled gets its way.",
        "`true` is an int in Python; `json` takes NaN and keeps the last of two equal keys.",
    ),
    Case(
        "MM-A11",
        "A reply that names a market which was not asked about is the answer to another question: nothing is taken.",
        "Answers that were mixed up would move the wrong market's quotes.",
        "Compare the reply's markets with those of the request.",
    ),
    Case(
        "MM-A12",
        "JSON out of a fence or out of prose is said to be salvaged and means the same; out of two, none is taken.",
        "Salvages are counted: a rising count says that a model no longer does what it was asked.",
        "Return True beside the entries unless the whole text is the object.",
    ),
)

_PLUGIN = (
    Case(
        "MM-P01",
        "The plugin module says MMFRAME_API, and it is this kernel's.",
        "A plugin written for another contract must be refused with one clear sentence, not by a crash in a run.",
        "Write `MMFRAME_API = 1` in the module that the entry point names.",
    ),
    Case(
        "MM-P02",
        "Every hook that it marks exists and takes the arguments that it asks for.",
        "A misspelled hook is silently never called.",
        "Compare the names with the hook reference.",
    ),
    Case(
        "MM-P03",
        "Each hook returns specs of its own kind, the same on every call.",
        "The registry files components by kind.",
        "Return a tuple of module constants.",
    ),
    Case(
        "MM-P04",
        "Component names are lower case with dashes and unique within their kind.",
        "They are what a trader writes after `use =`.",
        "Letters, digits and single dashes, starting with a letter.",
    ),
    Case(
        "MM-P05",
        "Each spec has a one-line summary.",
        "`mmframe plugins` shows it.",
        "One sentence without a line break, at most 120 characters.",
    ),
    Case(
        "MM-P06",
        "Each option is made with `option`, with a sentence of help, and with its unit when its name ends in one.",
        "The options reference and the editor's completion are made from them.",
        'half_spread_bps: float = option(help="...", unit="bps", ...).',
    ),
    Case(
        "MM-P07",
        "Defaults lie within the option's own bounds and choices.",
        "A default that the checker would refuse cannot be written down in a file.",
        "Compare `default` with minimum, maximum, above and choices.",
    ),
    Case(
        "MM-P08",
        "Importing it opens no connection, starts no process or thread and loads no network library.",
        "`mmframe check` imports every plugin of a file; it must be quick and without effect.",
        "Import httpx, websockets and other heavy modules inside the build function.",
    ),
    Case(
        "MM-P09",
        "Its entry point in group `mmframe` is installed exactly once and names the module.",
        "That is how it is found; two distributions with one name are refused.",
        '[project.entry-points.mmframe] name = "package.plugin"; then `pip install -e .`.',
    ),
    Case(
        "MM-P10",
        "Its distribution has a summary, needs mmframe and says which Python it needs.",
        "`mmframe plugins` shows the first, pip acts on the others.",
        "description, dependencies and requires-python in pyproject.toml.",
    ),
    Case(
        "MM-P11",
        "Its README names every component as it is used: `name/component`.",
        "The package page is the first thing that a trader reads.",
        'readme = "README.md" in pyproject.toml, and a line `use = "name/component"` for each.',
    ),
    Case(
        "MM-P12",
        "It hands over the same specs whether it is loaded before or after another plugin.",
        "Hook order never matters.",
        "Do not look at other plugins while registering.",
    ),
    Case(
        "MM-P13",
        "Signals provide identifiers, needs are identifiers, and own reason codes start at Reason.PLUGIN with a text.",
        "They become fields of `view.signals` and answers of `mmframe explain`.",
        'provides="volatility"; reasons={int(Reason.PLUGIN) + 1: "the spread is too thin"}.',
    ),
    Case(
        "MM-P14",
        "Its package ships `py.typed`.",
        "Without it the types of your options are invisible to the people who test with mypy.",
        "Add an empty file py.typed beside __init__.py.",
    ),
)

CASES: dict[str, Case] = {
    case.id: case
    for cases in (
        _PLUGIN,
        _BOOK,
        _SIGNAL,
        _OPTIMIZER,
        _RISK,
        _HISTORY,
        _FEED,
        _VENUE,
        _LIVE_VENUE,
        _LLM_PROVIDER,
        _ADVISER,
    )
    for case in cases
}
"""Every case by id."""

_GROUPS = (
    ("Plugin as a whole", "PluginConformance", _PLUGIN),
    ("Book", "BookConformance", _BOOK),
    ("Signal", "SignalConformance", _SIGNAL),
    ("Optimizer", "OptimizerConformance", _OPTIMIZER),
    ("Risk control", "RiskControlConformance", _RISK),
    ("History", "HistoryConformance", _HISTORY),
    ("Feed", "FeedConformance", _FEED),
    ("Venue", "VenueConformance", _VENUE),
    ("Live venue", "LiveVenueConformance", _LIVE_VENUE),
    ("Model provider", "LLMProviderConformance", _LLM_PROVIDER),
    ("Adviser", "AdviserConformance", _ADVISER),
)


def render_cases() -> str:
    """Return the reference page of all cases, in Markdown."""
    lines = [
        "# Conformance cases",
        "",
        "What the kernel needs from a component, as tests. Subclass the class of your component's kind from",
        "`mmframe.testing`; [Test a plugin](../how-to/test-a-plugin.md) shows how. A case that fails prints its id,",
        "so you can find it here. An id is never used again for another rule.",
    ]
    for title, class_name, cases in _GROUPS:
        lines += ["", f"## {title}: `{class_name}`"]
        for case in cases:
            lines += [
                "",
                f"### {case.id}",
                "",
                f"**Rule.** {case.rule}",
                "",
                f"**Why.** {case.reason}",
                "",
                f"**If it fails.** {case.hint}",
            ]
    return "\n".join(lines) + "\n"
