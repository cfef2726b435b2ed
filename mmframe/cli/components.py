"""How a component is shown: its purpose, what it needs and its options, for people and machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from mmframe.cli.text import columns, paint, paragraphs
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
    from collections.abc import Mapping

    from mmframe.config.option_types import OptionField
    from mmframe.plugin.specs import ComponentKind, ComponentSpec, LimitFacts
    from mmframe.registry import LoadedPlugin

__all__ = ["component_lines", "component_object", "kind_name", "limit_text", "limits_of", "option_lines"]

_SCOPES = {
    "market": "the market",
    "asset": "all markets with its base asset",
    "group": "all markets with its quote asset",
    "strategy": "the strategy",
}


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
    return [*lines, *option_lines(spec.options, limits_of(spec))]


def limits_of(spec: ComponentSpec) -> Mapping[str, LimitFacts]:
    """Return which options of a component are limits, and how each of them works."""
    return spec.limits if isinstance(spec, RiskControlSpec) else {}


def limit_text(facts: LimitFacts) -> str:
    """Return how a limit works, such as `hard limit of the market, ends by itself`."""
    force = "hard" if facts.is_hard else "soft"
    end = "latched until an operator resumes" if facts.is_latched else "ends by itself"
    return f"{force} limit of {_SCOPES.get(facts.scope, facts.scope)}, {end}"


def option_lines(cls: type, limits: Mapping[str, LimitFacts] | None = None) -> list[str]:
    """Return the options of a class: name, default, type and bounds, then what it is for.

    Args:
        cls: The class.
        limits: Its options that are limits, and how each of them works.
    """
    fields = option_fields(cls)
    if not fields:
        return ["  It has no options."]
    heads = columns([(_default_text(field), _type_text(field)) for field in fields])
    if len(heads) > len(fields):  # too narrow to keep the types in a column of their own
        heads = [f"  {_default_text(field)}  {_type_text(field)}" for field in fields]
    lines = [paint("Options", bold=True)]
    for head, field in zip(heads, fields, strict=True):
        facts = (limits or {}).get(field.name)
        text = f"{field.info.help} A {limit_text(facts)}." if facts is not None else field.info.help
        lines += [head, *paragraphs(text, indent=6)]
    return lines


def component_object(plugin: LoadedPlugin, spec: ComponentSpec) -> dict[str, Any]:
    """Return the same for a machine."""
    return {
        "use": plugin.use(spec),
        "kind": kind_name(spec.kind),
        "table": spec.kind.value,
        "summary": spec.summary,
        "description": spec.description,
        **{name.replace(" ", "_"): text for name, text in _facts(spec)},
        "options": [_option_object(field, limits_of(spec)) for field in option_fields(spec.options)],
    }


def _facts(spec: ComponentSpec) -> list[tuple[str, str]]:
    facts = []
    if isinstance(spec, SignalSpec):
        facts.append(("provides", f"view.signals.{spec.provides}" + (f", {spec.unit}" if spec.unit else "")))
    if isinstance(spec, OptimizerSpec | RiskControlSpec) and spec.needs:
        facts.append(("needs", ", ".join(f"signal {name}" for name in spec.needs)))
    if isinstance(spec, RiskControlSpec):
        facts.append(("halts", f"the {spec.scope.value}"))
    if isinstance(spec, RiskControlSpec) and spec.liquidation is not None:
        facts.append(("closes", "positions, as its options say"))
    if isinstance(spec, VenueSpec):
        facts.append(("modes", ", ".join(sorted(mode.value for mode in spec.modes))))
    return facts


def _default_text(field: OptionField) -> str:
    if field.is_required:
        return f"{field.name}  (required)"
    return f"{field.name}  (unset)" if field.default is None else f"{field.name} = {toml_text(field.default)}"


def _type_text(field: OptionField) -> str:
    info = field.info
    # What follows the comma tells how to write it; a table of options needs the kind alone.
    kind = field.type.text.partition(",")[0].removeprefix("a ").removeprefix("an ")
    bounds = [
        f"{word} {number_text(bound)}"
        for word, bound in (("above", info.above), ("at least", info.minimum), ("at most", info.maximum))
        if bound is not None
    ]
    choices = [f"one of {', '.join(info.choices)}"] if info.choices else []
    example = [f"such as {toml_text(info.example)}"] if info.example is not None else []
    return ", ".join([kind, *([info.unit] if info.unit else []), *bounds, *choices, *example])


def _option_object(field: OptionField, limits: Mapping[str, LimitFacts]) -> dict[str, Any]:
    facts = limits.get(field.name)
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
        "limit": None if facts is None else attrs.asdict(facts),
    }
