"""`mmframe llm check`: which models the advisers of a strategy would ask, and what one small question costs."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, paint, plural
from mmframe.domain.advice import ReplyStatus
from mmframe.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmframe.runtime.advice.check import ModelReport

__all__ = ["llm_command"]

_NS_PER_S = 1_000_000_000
_SHOWN_MODELS = 8
_FIXES = {
    400: "see which of `json_mode`, `max_tokens_field` and `sends_temperature` the server wants otherwise",
    401: "put the right key where `api_key` of the provider takes it from",
    403: "see whether the key may use this model, and from where",
    404: "put `base_url` (to the end of `/v1`, without the path behind it) or `model` of the provider right",
    429: "wait, or raise `every_s`",
}
"""By HTTP status, where the model is listed or nothing is."""

_EPILOG = """\
\b
Examples:
  mmframe llm check strategy.toml               list the models, ask each one small question
  mmframe llm check strategy.toml --no-probe    list them, and ask nothing that costs

It reads the keys of the advisers in FILE, as a paper or live run does. A question costs a fraction of a cent; its cost
is told by the price table in FILE. A key that is refused is named by where it came from.

With --json, stdout holds one object: models, each with advisers, use, model, is_listed, listed, problem, fix,
answered_by, latency_s, input_tokens, output_tokens, cost_usd, has_price.

Exit status: 0 every model answered, 2 the strategy file, a key or a model is wrong, 3 a plugin, 4 a model could not be
reached or did not answer.
"""


@click.group(name="llm", short_help="Look at the models that a strategy's advisers ask.")
def llm_command() -> None:
    """Look at the models that the advisers of a strategy ask."""


@llm_command.command("check", epilog=_EPILOG, short_help="List models and ask each one priced question.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--probe/--no-probe", "probes", default=True, help="Ask one small question, which costs a little.")
@json_option
@click.pass_context
def check_command(ctx: click.Context, *, file: Path, probes: bool, as_json: bool) -> int:
    """Ask the providers in FILE for their models, and each model one small question."""
    import anyio

    from mmframe.registry import compose_advisers
    from mmframe.runtime.advice.check import ask_models

    plans = compose_advisers(file, blocked=blocked_names(ctx))
    if not plans:
        message = f"{file}: expected an [[adviser]], was none"
        raise UsageError(message, hint="`mmframe plugins` lists advisers and LLM providers")

    async def ask() -> Sequence[ModelReport]:
        return await ask_models(plans, probes=probes)

    reports = anyio.run(ask)
    if as_json:
        write_json({"models": [_object(report) for report in reports]})
    else:
        write_lines(line for report in reports for line in _lines(report))
    return _status(reports)


def _status(reports: Sequence[ModelReport]) -> int:
    failed = [report for report in reports if report.problem]
    if not failed:
        return ExitCode.OK
    return ExitCode.USAGE if any(report.needs_a_change for report in failed) else ExitCode.VENUE


def _lines(report: ModelReport) -> list[str]:
    rows = [("asked by", ", ".join(report.advisers)), ("models", _listed(report))]
    reply = report.reply
    if reply is not None and not report.problem:
        rows.append(("answered", f"{reply.model or report.model} in {reply.latency_ns / _NS_PER_S:.2f} s"))
        counted = "at most " if reply.usage.is_estimated else ""
        rows.append(("used", f"{counted}{reply.usage.input_tokens} tokens in, {reply.usage.output_tokens} out"))
        unknown = "" if report.has_price else f"; no price of {reply.model!r}, so the dearest was taken"
        rows.append(("cost", f"${report.cost_usd.normalize():f}{unknown}"))
    if report.problem:
        rows.append(("problem", paint(report.problem, fg="red")))
        fix = _fix(report)
        if fix:
            rows.append(("fix", fix))
    return [paint(f"{report.use} {report.model}", bold=True), *columns(rows)]


def _fix(report: ModelReport) -> str:
    """Return what a person can do about a model that did not answer, or nothing where the problem says it."""
    reply = report.reply
    status = report.models.status if reply is None else reply.status
    http_status = 0 if reply is None else reply.http_status
    if status is ReplyStatus.UNAVAILABLE and not http_status:
        return "start the server, or put `base_url` of the provider right; a slow model needs a longer `timeout_s`"
    if status is ReplyStatus.QUOTA:
        return "add credit at the provider, or raise its limit"
    if status is ReplyStatus.TRUNCATED:
        return "a model that thinks before it answers needs more `thinking_tokens`, or less `reasoning_effort`"
    if report.is_listed is False:
        near = get_close_matches(report.model, report.models.models, n=1)
        return f"did you mean {near[0]!r}?" if near else "name one that the server lists in `model` of the provider"
    return _FIXES.get(http_status, "")


def _listed(report: ModelReport) -> str:
    names = report.models.models
    if not names:
        return "the server lists none" if report.models.status is ReplyStatus.OK else "not known"
    more = ", ..." if len(names) > _SHOWN_MODELS else ""
    word = "among" if report.is_listed else "not among"
    return f"{word} {plural(len(names), 'model')}: {', '.join(names[:_SHOWN_MODELS])}{more}"


def _object(report: ModelReport) -> dict[str, Any]:
    reply = report.reply
    return {
        "advisers": list(report.advisers),
        "use": report.use,
        "model": report.model,
        "is_listed": report.is_listed,
        "listed": list(report.models.models),
        "problem": report.problem,
        "fix": _fix(report) if report.problem else "",
        "answered_by": None if reply is None or report.problem else reply.model or report.model,
        "latency_s": None if reply is None else reply.latency_ns / _NS_PER_S,
        "input_tokens": None if reply is None else reply.usage.input_tokens,
        "output_tokens": None if reply is None else reply.usage.output_tokens,
        "cost_usd": None if reply is None else f"{report.cost_usd:f}",
        "has_price": report.has_price,
    }
