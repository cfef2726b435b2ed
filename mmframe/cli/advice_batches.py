"""`mmframe advice ask --batch`: submits a recording's questions at once, and writes the answers when they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import msgspec

from mmframe.cli.output import write_json, write_lines
from mmframe.cli.text import columns, note, plural, shown_path
from mmframe.domain.advice import BatchStatus, ReplyStatus
from mmframe.errors import UsageError
from mmframe.research.advice import KeptBatches
from mmframe.runtime.advice.replay import read_calls
from mmframe.runtime.clocks import SystemClock
from mmframe.runtime.durable import write_durably

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mmframe.domain.advice import AdviceCall, Batch
    from mmframe.research.advice import QuestionSheet, RecordingBatches

__all__ = ["ask_in_batches"]

_NS_PER_S = 1_000_000_000
_NOT_SUBMITTED = "not submitted"


def ask_in_batches(  # noqa: PLR0913 - one keyword for each thing that can be chosen
    questions: Callable[[], RecordingBatches],
    out: Path,
    *,
    waits: bool,
    poll_s: float,
    cancels: bool,
    is_dry: bool,
    as_json: bool,
    is_quiet: bool,
) -> None:
    """Go on with the batches of a file of calls: submit them, look at them, or write their answers.

    Args:
        questions: Makes the questions, which takes a pass over the recording.
        out: The file of calls.
        waits: Stay until the batches have ended.
        poll_s: Time between two looks.
        cancels: End the batches that are under way.
        is_dry: Only say what they would cost.
        as_json: Write an object instead of text.
        is_quiet: Show no progress.

    Raises:
        UsageError: If the file of calls was not made from batches, or its batches hold other questions.
        VenueError: If a provider refused a batch, or its answers cannot be fetched.
    """
    kept = KeptBatches(out)
    if out.exists() and not kept:
        message = f"--out: expected a file that batches were written to, or none yet, was {str(out)!r}"
        raise UsageError(message, hint="it holds calls that were asked one by one; name another file")
    if cancels and not kept:
        message = f"--cancel: expected a batch that was submitted for {str(out)!r}, was none"
        raise UsageError(message, hint=f"it would be kept in {kept.path.name!r}")
    found = questions()
    if not found.sheets:
        message = "expected a question that the budget has room for, was none"
        raise UsageError(message, hint="see `every_s` and `[adviser.budget]`, and whether the recording is long enough")
    if kept.is_written and out.exists():
        # Not fetched anew: some day the provider forgets the answers, and the file does not.
        _report(
            "done", found.sheets, [kept.batch(sheet) for sheet in found.sheets], out, read_calls(out), as_json=as_json
        )
        return
    if is_dry:
        _report("dry-run", found.sheets, [kept.batch(sheet) for sheet in found.sheets], out, (), as_json=as_json)
        return
    batches, is_ended = anyio.run(_gone_on, found, kept, waits, poll_s, cancels, is_quiet)
    calls: list[AdviceCall] = []
    if is_ended:
        found.calls(calls.append)
        _write(out, calls)
        kept.written()
    _report("done" if is_ended else "under-way", found.sheets, batches, out, calls, as_json=as_json)


async def _gone_on(  # noqa: PLR0913, PLR0917 - what the event loop hands on has no keywords
    found: RecordingBatches, kept: KeptBatches, waits: bool, poll_s: float, cancels: bool, is_quiet: bool
) -> tuple[Sequence[Batch | None], bool]:
    """Return the batches, and whether all have ended and their answers are fetched."""
    try:
        if cancels:
            return await found.cancel(kept), False
        batches = await found.advance(kept, SystemClock())
        while waits and not _have_ended(batches):
            if not is_quiet:
                note("; ".join(_progress(batch) for batch in batches))
            await anyio.sleep(max(poll_s, *(batch.retry_after_ns / _NS_PER_S for batch in batches)))
            batches = await found.advance(kept, SystemClock())
        if not _have_ended(batches):
            return batches, False
        await found.fetch(kept)
        return batches, True
    finally:
        await found.aclose()


def _have_ended(batches: Sequence[Batch]) -> bool:
    return all(batch.status is BatchStatus.ENDED for batch in batches)


def _progress(batch: Batch) -> str:
    trouble = f" ({batch.detail})" if batch.detail else ""
    return f"{batch.name or batch.label}: {batch.answered} of {plural(batch.total, 'answer')}{trouble}"


def _write(out: Path, calls: Sequence[AdviceCall]) -> None:
    try:
        write_durably(out, b"".join(msgspec.json.encode(call) + b"\n" for call in calls))
    except OSError as error:
        message = f"--out: expected a file that can be written, was {str(out)!r}: {error.strerror}"
        raise UsageError(message, hint="the batches are kept; run the command again") from error


def _report(  # noqa: PLR0913 - what there is to tell
    state: str,
    sheets: Sequence[QuestionSheet],
    batches: Sequence[Batch | None],
    out: Path,
    calls: Sequence[AdviceCall],
    *,
    as_json: bool,
) -> None:
    found = [_object(sheet, batch, calls) for sheet, batch in zip(sheets, batches, strict=True)]
    if as_json:
        write_json({"state": state, "out": str(out), "batches": found})
        return
    rows = [
        (
            each["adviser"],
            each["status"],
            plural(each["questions"], "question") + (f", {each['refused']:,} left out" if each["refused"] else ""),
            f"at most {each['worst_usd']} USD" if each["cost_usd"] is None else f"{each['cost_usd']} USD",
            each["detail"] or (each["name"] or ""),
        )
        for each in found
    ]
    write_lines(columns(rows, headings=("Adviser", "Batch", "Questions", "Cost", "")))
    if state == "done":
        failed = sum(each["failed"] or 0 for each in found)
        without = f", {plural(failed, 'question')} without an answer" if failed else ""
        note(f"{plural(len(calls), 'call')}{without}; {shown_path(out)} holds them")
    elif state == "under-way":
        note("Run the same command again to fetch the answers, or with --wait to stay until they are there.")


def _object(sheet: QuestionSheet, batch: Batch | None, calls: Sequence[AdviceCall]) -> dict[str, Any]:
    mine = [call for call in calls if call.adviser == sheet.plan.name]
    failed = sum(call.reply.status is not ReplyStatus.OK for call in mine) - sheet.refused
    return {
        "adviser": sheet.plan.name,
        "model": sheet.plan.provider.model,
        "name": None if batch is None else batch.name or None,
        "status": _NOT_SUBMITTED if batch is None else batch.status.value,
        "questions": len(sheet.asked),
        "refused": sheet.refused,
        "answered": 0 if batch is None else batch.answered,
        "worst_usd": f"{sheet.worst_usd:f}",
        "cost_usd": f"{sum(call.cost_usd for call in mine):f}" if calls else None,
        "failed": failed if calls else None,
        "detail": "" if batch is None else batch.detail,
    }
