"""`mmframe schema`: what may stand in a strategy file, for people and as JSON Schema for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mmframe.cli.errors import error_text
from mmframe.cli.options import blocked_names
from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, note, paint
from mmframe.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from mmframe.plugin.specs import ComponentSpec
    from mmframe.registry import LoadedPlugin

__all__ = ["schema_command"]

_EPILOG = """\
\b
Examples:
  mmframe schema                         the tables of a strategy file
  mmframe schema gate                    the keys of one table
  mmframe schema volatility-regime       the options of a component
  mmframe schema --json > mmframe.schema.json

An editor completes and checks strategy files with the JSON Schema; with Taplo or VS Code's Even Better TOML, put
`#:schema ./mmframe.schema.json` into the file's first line.
"""


@click.command(epilog=_EPILOG, short_help="Describe the strategy file.")
@click.argument("name", metavar="[TABLE|USE]", required=False)
@json_option
@click.pass_context
def schema_command(ctx: click.Context, *, name: str | None, as_json: bool) -> int:
    """Describe the strategy file, one of its TABLEs, or the component that USE names.

    With --json: a JSON Schema made from the installed plugins, all of which are loaded for it.
    """
    if name is None:
        return _write_whole(blocked_names(ctx), as_json=as_json)
    from mmframe.config.option_types import table_schema

    table = _tables().get(name)
    if table is not None:
        if as_json:
            write_json(table_schema(table))
        else:
            from mmframe.cli.components import option_lines

            write_lines([f"{paint(f'[{name}]', bold=True)}  {_summary(table)}", "", *option_lines(table)])
        return int(ExitCode.OK)
    found = _components(name, blocked_names(ctx))
    if as_json:
        write_json(table_schema(found[0][1].options))
        return int(ExitCode.OK)
    from mmframe.cli.components import component_lines

    for number, (plugin, spec) in enumerate(found):
        write_lines([*([""] if number else []), *component_lines(plugin, spec)])
    return int(ExitCode.OK)


def _write_whole(blocked: frozenset[str], *, as_json: bool) -> int:
    if not as_json:
        write_lines(_overview())
        return int(ExitCode.OK)
    from mmframe.config.schema import json_schema
    from mmframe.registry import Registry

    loaded, errors = Registry(blocked=blocked).load_all()
    for error in errors:
        note(error_text(error))
    write_json(json_schema(loaded))
    return int(ExitCode.PLUGIN if errors else ExitCode.OK)


def _overview() -> list[str]:
    from mmframe.plugin.specs import ComponentKind

    rows = [(f"[[{name}]]" if name in _ARRAYS else f"[{name}]", _summary(cls)) for name, cls in _tables().items()]
    lists = {ComponentKind.SIGNAL, ComponentKind.OPTIMIZER, ComponentKind.RISK_CONTROL, ComponentKind.SINK}
    for kind in ComponentKind:
        if kind in {ComponentKind.ADVISER, ComponentKind.LLM_PROVIDER}:
            continue  # has keys of the kernel and stands above; stands inside an adviser
        name = f"[[{kind.value}]]" if kind in lists else f"[{kind.value}]"
        rows.append((name, f'A component: `use = "..."` and its options. {_KIND_NOTES.get(kind.value, "")}'.strip()))
    return [
        paint("A strategy file is TOML: `schema = 1` and these tables.", bold=True),
        "",
        *columns(rows),
        "",
        "`mmframe schema TABLE` shows the keys of a table, `mmframe schema USE` the options of a component,",
        "`mmframe plugins show core` the components that are built in.",
    ]


_ARRAYS = {"markets", "adviser", "adviser.budget.prices"}
"""Tables of which there may be several."""

_KIND_NOTES = {
    "venue": "Or one a mode: [venue.paper], [venue.backtest], [venue.live].",
    "optimizer": "The order in the file is the order of the chain.",
    "risk": "The order in the file is the order of evaluation; each only tightens.",
    "history": "What a backtest replays.",
}


def _summary(table: type) -> str:
    """Return the first line of a table's docstring, without the table's own name before it."""
    line = (table.__doc__ or "").split("\n", 1)[0]
    text = line.partition(": ")[2] or line
    return f"{text[:1].upper()}{text[1:]}"


def _tables() -> dict[str, type]:
    from mmframe.config import advice_tables, tables

    return {
        "strategy": tables.StrategyTable,
        "run": tables.RunTable,
        "markets": tables.MarketTable,
        "plugins": tables.PluginsTable,
        "ladder": tables.LadderTable,
        "reconcile": tables.ReconcileTable,
        "gate": tables.GateTable,
        "faults": tables.FaultsTable,
        "journal": tables.JournalTable,
        "adviser": advice_tables.AdviserKeys,
        "adviser.bounds": advice_tables.BoundsTable,
        "adviser.budget": advice_tables.BudgetTable,
        "adviser.budget.prices": advice_tables.PriceTable,
    }


def _components(use: str, blocked: frozenset[str]) -> tuple[tuple[LoadedPlugin, ComponentSpec], ...]:
    from mmframe.config.problems import nearest
    from mmframe.registry import Registry
    from mmframe.registry.discovery import CORE

    plugin_name, _, name = use.rpartition("/")
    plugin = Registry(blocked=blocked).load(plugin_name or CORE)
    found = tuple((plugin, spec) for spec in plugin.specs if spec.name == name)
    if not found:
        known: list[Any] = [*_tables(), *(plugin.use(spec) for spec in plugin.specs)]
        close = nearest(use, known)
        message = f"there is no table and no component {use!r}"
        hint = f"did you mean {close!r}?" if close else "`mmframe schema` lists tables, `mmframe plugins` plugins"
        raise UsageError(message, hint=hint)
    return found
