"""How a component is shown: its purpose, what it needs and its options, for people and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from mmframe.cli.text import columns, paint, paragraphs, terminal_width
from mmframe.config.option_types import option_fields
from mmframe.config.text import json_value, number_text, toml_text
from mmframe.plugin.specs import (
    OptimizerSpec,
    RiskControlSpec,
    SignalSpec,
    VenueSpec,
)
from mmframe.registry.registry import kind_title

if TYPE_CHECKING:
    from mmframe.config.option_types import OptionField
    from mmframe.plugin.options import OptionInfo
    from mmframe.plugin.specs import ComponentKind, ComponentSpec
    from mmframe.registry import LoadedPlugin

__all__ = ["component_lines", "component_object", "kind_name", "option_lines"]


def kind_name(kind: ComponentKind) -> str:
    """Return the kind in words, without its article."""
    return kind_title(kind).partition(" ")[2]


def component_lines(plugin: LoadedPlugin, spec: ComponentSpec) -> list[str]:
    """Return everything a person wants to know before using a component."""
    lines = [f"{paint(plugin.use(spec), bold=True)}  {kind_name(spec.kind)}, {plugin.distribution} {plugin.version}"]
    lines += [f"  {spec.summary}", ""]
    if spec.description:
        lines += [*paragraphs(spec.description), ""]
    facts = columns(_facts(spec))
    if facts:
        lines += [*facts, ""]
    return [*lines, *option_lines(spec.options)]


def option_lines(cls: type) -> list[str]:
    """Return the options of a class as a table."""
    fields = option_fields(cls)
    if not fields:
        return [paint("No options", bold=True)]
    rows = []
    for field in fields:
        default = "required" if field.is_required else "-" if field.default is None else toml_text(field.default)
        rows.append((field.name, _type_text(field), default, _help_text(field.info)))
    # Long names of types would leave no room for the words: then each option gets a line of its own for them.
    widest = sum(max(len(row[column]) for row in rows) + 2 for column in range(3))
    headings = ("option", "type", "default", "")
    if widest <= terminal_width() // 2:
        return columns(rows, headings=headings)
    lines = columns(
        [(name, f"{kind}; {default}") for name, kind, default, _ in rows], headings=("option", "type; default")
    )
    shown = lines[:1]
    for line, row in zip(lines[1:], rows, strict=False):
        shown += [line, *columns([(row[3],)], indent=6)]
    return shown


def component_object(plugin: LoadedPlugin, spec: ComponentSpec) -> dict[str, Any]:
    """Return the same for a machine."""
    return {
        "use": plugin.use(spec),
        "kind": kind_name(spec.kind),
        "table": spec.kind.value,
        "summary": spec.summary,
        "description": spec.description,
        **{name.replace(" ", "_"): text for name, text in _facts(spec)},
        "options": [_option_object(field) for field in option_fields(spec.options)],
    }


def _facts(spec: ComponentSpec) -> list[tuple[str, str]]:
    facts = []
    if isinstance(spec, SignalSpec):
        facts.append(("provides", f"view.signals.{spec.provides}" + (f", {spec.unit}" if spec.unit else "")))
    if isinstance(spec, OptimizerSpec | RiskControlSpec) and spec.needs:
        facts.append(("needs", ", ".join(f"signal {name}" for name in spec.needs)))
    if isinstance(spec, RiskControlSpec):
        facts.append(("halts", f"the {spec.scope.value}"))
    if isinstance(spec, VenueSpec):
        facts.append(("modes", ", ".join(sorted(mode.value for mode in spec.modes))))
    return facts


def _type_text(field: OptionField) -> str:
    text = field.type.text.removeprefix("a ").removeprefix("an ")
    return f"{text}, {field.info.unit}" if field.info.unit else text


def _help_text(info: OptionInfo) -> str:
    bounds = [
        f"{word} {number_text(bound)}"
        for word, bound in (("above", info.above), ("at least", info.minimum), ("at most", info.maximum))
        if bound is not None
    ]
    if info.choices:
        bounds.append(f"one of {', '.join(info.choices)}")
    if info.example is not None:
        bounds.append(f"such as {toml_text(info.example)}")
    return f"{info.help} ({', '.join(bounds)})" if bounds else info.help


def _option_object(field: OptionField) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type.text,
        "unit": field.info.unit,
        "is_required": field.is_required,
        "default": None if field.default is attrs.NOTHING else json_value(field.default),
        "help": field.info.help,
        "minimum": field.info.minimum,
        "maximum": field.info.maximum,
        "above": field.info.above,
        "choices": list(field.info.choices),
    }
