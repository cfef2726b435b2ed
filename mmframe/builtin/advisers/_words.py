"""What the descriptions of all built-in advisers have in common."""

from __future__ import annotations

__all__ = ["EXAMPLE_MARKET", "FAILURE", "QUESTION"]

QUESTION = """\
The question is numbers alone: prices as distances from the mid in bps, sizes as multiples of the order size, the
position as a share of its limit, times as ages, so that neither symbol nor price level, date or size of the account
can be read from it. `anonymise = false` adds symbol and mid. Several markets go into one question, as M1, M2 and so
on. Instructions come first and never change, so that providers can cache them; `template` replaces them."""

FAILURE = """\
When it fails: a reply that is not exactly what was asked (no JSON, a key too many or too few, text for a number,
NaN, a value out of its range) is rejected for the market that it is about, and what was in force runs out. A reply
inside a code fence or between sentences is taken and counted as salvaged. A model that is confident and wrong is
held by the bounds of `[adviser.bounds]` and by nothing else: confidence is what the model says of itself and is not
calibrated. An answer below `min_confidence` of the bounds, or of the optimizer `advice` (0.5 unless set), changes
nothing. A backtest over days that the model was trained on may know what came; anonymous numbers make that harder,
not impossible."""

EXAMPLE_MARKET = """\
Example: order size 0.5; bids 99.99 (3) and 99.98 (2), asks 100.01 (1) and 100.02 (4); long 1 of at most 4, bought at
100.10; executions: 0.5 sold at 100.05 20 s ago, 0.25 bought at 100.01 4 s ago, 1 sold at 99.99 1 s ago. Asked:"""
