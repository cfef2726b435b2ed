"""Fills the reference pages from the code: `<!-- generated: NAME -->` in a page is where a generator's text goes.

The text is Markdown and is put in place before the page is parsed, so headings and links of generated parts work as
those of written ones.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import attrs
import click
from api_reference import api, split_docstring

from mmframe import errors
from mmframe.cli.components import component_object, kind_name, limit_text, limits_of
from mmframe.cli.main import commands
from mmframe.config import advice_tables, tables
from mmframe.config.option_types import option_fields
from mmframe.config.text import number_text, toml_text
from mmframe.plugin.specs import ComponentKind
from mmframe.registry import Registry
from mmframe.testing.cases import render_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from sphinx.application import Sphinx

    from mmframe.config.option_types import OptionField
    from mmframe.plugin.specs import LimitFacts
    from mmframe.registry import LoadedPlugin

__all__ = ["GENERATORS", "setup"]

_MARKER = re.compile(r"<!-- generated: ([a-z-]+)(?: ([a-z_.]+))? -->")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _fill(_app: Sphinx, _page: str, source: list[str]) -> None:
    source[0] = _MARKER.sub(_generated, source[0])


def _generated(marker: re.Match[str]) -> str:
    arguments = [argument for argument in marker.groups()[1:] if argument]
    return "\n".join(GENERATORS[marker[1]](*arguments))


# --- components ------------------------------------------------------------------------------------------------------


def components() -> Iterator[str]:
    """Yield a section for each kind, in it one for each component of each installed plugin."""
    loaded, broken = Registry().load_all()
    if broken:
        raise broken[0]
    by_kind: dict[ComponentKind, list[tuple[LoadedPlugin, Any]]] = defaultdict(list)
    for plugin in loaded:
        for spec in plugin.specs:
            by_kind[spec.kind].append((plugin, spec))
    for kind in ComponentKind:
        if by_kind[kind]:
            yield from ("", f"## {kind_name(kind)[0].upper()}{kind_name(kind)[1:]}s", "")
        for plugin, spec in by_kind[kind]:
            yield from _component(plugin, spec)


def _component(plugin: LoadedPlugin, spec: Any) -> Iterator[str]:
    shown = component_object(plugin, spec)
    yield from (f"### `{shown['use']}`", "", shown["summary"], "")
    if shown["description"]:
        yield from (inspect.cleandoc(shown["description"]), "")
    facts = ("provides", "needs", "halts", "closes", "modes")
    yield from (f"- {name}: {shown[name]}" for name in facts if name in shown)
    yield from (f"- from: {plugin.distribution} {plugin.version}", "")
    yield from _options(option_fields(spec.options), limits_of(spec))


def strategy_tables() -> Iterator[str]:
    """Yield a section for each table of a strategy file that belongs to the kernel."""
    # In the order of the source; those of advice from the outside in.
    kernel = [table for name, table in vars(tables).items() if name in tables.__all__]
    kernel += [getattr(advice_tables, name) for name in ("AdviserKeys", "BoundsTable", "BudgetTable", "PriceTable")]
    for table in kernel:
        heading, _, text = inspect.cleandoc(table.__doc__).split("\n\nRaises:")[0].partition(": ")
        if not text:  # the keys that the kernel adds to a component's table
            heading, text = f"Keys of {re.findall(r'`(.*?)`', heading)[0]}", heading
        else:
            heading = heading.strip("`")
        yield from ("", f"## `{heading}`" if heading.startswith("[") else f"## {heading}", "")
        yield from (f"{text[0].upper()}{text[1:]}", "")
        yield from _options(option_fields(table))


def _options(fields: Sequence[OptionField], limits: Mapping[str, LimitFacts] | None = None) -> Iterator[str]:
    if not fields:
        yield from ("It has no options.", "")
        return
    rows = []
    for field in fields:
        required = field.default is attrs.NOTHING
        default = "*required*" if required else _default(field.default)
        kind = re.sub(r"^an? |, such as .*", "", field.type.text)
        facts = (limits or {}).get(field.name)
        limit = "" if facts is None else limit_text(facts)
        rows.append((f"`{field.name}`", kind, field.info.unit, default, _bounds(field), limit, field.info.help))
    yield from _table(("Option", "Type", "Unit", "Default", "Allowed", "Limit", "Meaning"), rows)


def _default(value: object) -> str:
    if value is None:
        return "none"
    return "that of each key" if attrs.has(type(value)) else f"`{toml_text(value)}`"


def _bounds(field: OptionField) -> str:
    info = field.info
    limits = (("> ", info.above), ("≥ ", info.minimum), ("≤ ", info.maximum))
    bounds = [f"{sign}{number_text(limit)}" for sign, limit in limits if limit is not None]
    bounds += [", ".join(f"`{choice}`" for choice in info.choices)] if info.choices else []
    return ", ".join(bounds)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    rows = list(rows)
    # A column that no row fills says nothing.
    kept = [column for column in range(len(headings)) if any(row[column] for row in rows)]
    yield _row(headings[column] for column in kept)
    yield _row("---" for _ in kept)
    yield from (_row(row[column].replace("|", r"\|").replace("\n", " ") for column in kept) for row in rows)
    yield ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


# --- command line ----------------------------------------------------------------------------------------------------


def command_line() -> Iterator[str]:
    """Yield a section for `mmframe` and for each of its commands."""
    yield from _command(commands, click.Context(commands, info_name="mmframe", **commands.context_settings), level=2)


def _command(command: click.Command, context: click.Context, *, level: int) -> Iterator[str]:
    yield from ("", f"{'#' * min(level, 3)} `{context.command_path}`", "")
    yield from ("```text", " ".join([context.command_path, *command.collect_usage_pieces(context)]), "```", "")
    if command.help:
        yield from (_plain_paragraphs(command.help), "")
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        # An argument has no help text of its own: the usage line and the description name it.
        if record is not None and record[1]:
            rows.append((f"`{record[0]}`", _escaped(record[1])))
    if rows:
        yield from _table(("Option", "Meaning"), rows)
    if command.epilog:
        yield from (_plain_paragraphs(command.epilog), "")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from _command(child, click.Context(child, info_name=name, parent=context), level=level + 1)


def _plain_paragraphs(text: str) -> str:
    """Return help text as Markdown: a paragraph that click must not wrap becomes a block of text."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(text)):
        kept = paragraph.removeprefix("\b\n")
        paragraphs.append(_escaped(paragraph) if kept == paragraph else f"```text\n{kept}\n```")
    return "\n\n".join(paragraphs)


def _escaped(text: str) -> str:
    # In help texts an asterisk, an angle bracket or a square bracket is itself.
    return re.sub(r"([*<\[\]])", r"\\\1", text)


# --- errors ----------------------------------------------------------------------------------------------------------


def exit_codes() -> Iterator[str]:
    """Yield the table of exit codes."""
    errors_by_code: dict[errors.ExitCode, list[str]] = defaultdict(list)
    for error in _error_classes():
        if isinstance(error.exit_code, errors.ExitCode):
            errors_by_code[error.exit_code].append(f"`{error.__name__}`")
    rows = [
        (str(code.value), code.name.replace("_", " ").lower(), ", ".join(errors_by_code[code]))
        for code in errors.ExitCode
    ]
    yield from _table(("Code", "Meaning", "Errors"), rows)


def error_codes() -> Iterator[str]:
    """Yield a section for each class of error, with its identifier and its attributes."""
    for error in _error_classes():
        text, sections = split_docstring(inspect.cleandoc(error.__doc__ or ""))
        yield from ("", f"## `{error.__name__}`", "", f"`error[{_identifier(error)}]`", "", text, "")
        yield from (f"- `{name}`: {entry}" for name, entry in sections.get("Attributes", {}).items())
        yield ""


def _identifier(error: type[errors.MmframeError]) -> str:
    code = vars(error).get("code", error.code)
    if not isinstance(code, property):
        return str(code)
    # Made for each error: the docstring says how, in backticks.
    made = re.search(r"`(.+?)`", code.__doc__ or "")
    return made[1] if made else error.__name__


def _error_classes() -> list[type[errors.MmframeError]]:
    return [
        value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.MmframeError)
    ]


# --- conformance -----------------------------------------------------------------------------------------------------


def conformance() -> Iterator[str]:
    """Yield the cases of the authors' kit."""
    yield render_cases()


GENERATORS: dict[str, Callable[..., Iterator[str]]] = {
    "api": api,
    "components": components,
    "strategy-tables": strategy_tables,
    "command-line": command_line,
    "exit-codes": exit_codes,
    "error-codes": error_codes,
    "conformance": conformance,
}
