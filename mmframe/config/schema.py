"""The JSON Schema of strategy files, from the kernel's tables and the specs of loaded plugins, for editors.

It says everything that can be said of one table by itself. What needs two tables, a venue's list or the run's mode is
left to `mmframe check`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from mmframe.config.option_types import field_schema, option_fields, table_schema
from mmframe.config.strategy import KERNEL_KEYS, PARTS, SCHEMA_VERSION, STRATEGY_WIDE_LIMITS
from mmframe.config.tables import (
    FaultsTable,
    GateTable,
    JournalTable,
    LadderTable,
    LiveTable,
    MarketTable,
    PluginsTable,
    ReconcileTable,
    RunTable,
    StrategyTable,
)
from mmframe.domain.kinds import Mode
from mmframe.plugin.specs import ComponentKind, ComponentSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SchemaPlugin", "json_schema"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_DEFAULT_BOOK = "sorted"

_SINGLES = {
    ComponentKind.FEED: "Market data of paper and live.",
    ComponentKind.HISTORY: "Recorded market data, which a backtest replays.",
}
_CHAINS = {
    ComponentKind.SIGNAL: "A number about the market, as a field of `view.signals`.",
    ComponentKind.OPTIMIZER: "One stage of the quoting chain; the order in the file is the order of evaluation.",
    ComponentKind.RISK_CONTROL: "One control of the risk chain; the order in the file is the order of evaluation.",
}
_LISTS = {
    **_CHAINS,
    ComponentKind.ADVISER: "A slow source of bounded advice.",
    ComponentKind.SINK: "A reader of what happens.",
}
_LIMITS: dict[str, type] = {"ladder": LadderTable, "reconcile": ReconcileTable, "gate": GateTable}
_TABLES: dict[str, type] = {
    "strategy": StrategyTable,
    "run": RunTable,
    "plugins": PluginsTable,
    **_LIMITS,
    "faults": FaultsTable,
    "live": LiveTable,
    "journal": JournalTable,
}


class SchemaPlugin(Protocol):
    """What is needed of a loaded plugin."""

    @property
    def name(self) -> str:
        """Return the plugin's name."""
        ...

    @property
    def specs(self) -> tuple[ComponentSpec, ...]:
        """Return its components."""
        ...

    def use(self, spec: ComponentSpec) -> str:
        """Return what a strategy file writes to use one of them."""
        ...


def json_schema(plugins: Sequence[SchemaPlugin]) -> dict[str, Any]:
    """Return the schema (draft 2020-12) of strategy files that use `plugins`, in an order that does not change."""
    tables = {name: _kernel_table(cls) for name, cls in _TABLES.items()}
    return {
        "$schema": _DIALECT,
        "title": "mmframe strategy",
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA_VERSION, "description": "Version of this file format."},
            **tables,
            "markets": {"type": "array", "minItems": 1, "items": _market(), "description": "One item an instrument."},
            **{kind.value: {**_reference(kind), "description": text} for kind, text in _SINGLES.items()},
            "book": {**_reference(ComponentKind.BOOK), "description": "The model of each market's levels."},
            "venue": _venue(),
            **{kind.value: _list(kind, text) for kind, text in _LISTS.items()},
        },
        "required": ["schema", "strategy", "markets"],
        "additionalProperties": False,
        "$defs": _definitions(plugins),
    }


def _summary(cls: type) -> str:
    return (cls.__doc__ or "").split("\n", 1)[0]


def _kernel_table(cls: type) -> dict[str, Any]:
    return {**table_schema(cls), "description": _summary(cls)}


def _reference(kind: ComponentKind) -> dict[str, Any]:
    return {"$ref": f"#/$defs/{kind.value}"}


def _list(kind: ComponentKind, text: str) -> dict[str, Any]:
    return {"type": "array", "items": _reference(kind), "description": text}


def _venue() -> dict[str, Any]:
    modes = {mode.value: _reference(ComponentKind.VENUE) for mode in Mode}
    return {
        "type": "object",
        "description": "Where orders go: one table, or one a mode.",
        "if": {"required": ["use"]},
        "then": _reference(ComponentKind.VENUE),
        "else": {"properties": modes, "additionalProperties": False},
    }


def _market() -> dict[str, Any]:
    schema = _kernel_table(MarketTable)
    limits = {name: _kernel_table(cls) for name, cls in _LIMITS.items()}
    own = {key: value for key, value in limits["gate"]["properties"].items() if key not in STRATEGY_WIDE_LIMITS}
    limits["gate"]["properties"] = own
    overrides = {
        # Without `use` its keys are laid over those of the strategy's book, whichever that is.
        "book": {"type": "object", "if": {"required": ["use"]}, "then": _reference(ComponentKind.BOOK)},
        **{kind.value: _list(kind, text) for kind, text in _CHAINS.items()},
        **limits,
    }
    return {**schema, "properties": {**schema["properties"], **overrides}}


def _definitions(plugins: Sequence[SchemaPlugin]) -> dict[str, Any]:
    definitions: dict[str, Any] = {}
    for kind in ComponentKind:
        found = [(plugin, spec) for plugin in plugins for spec in plugin.specs if spec.kind is kind]
        definitions[kind.value] = _choice(kind, found)
        for plugin, spec in found:
            definitions[_definition_name(plugin, spec)] = _component(plugin, spec)
    return definitions


def _definition_name(plugin: SchemaPlugin, spec: ComponentSpec) -> str:
    return f"{spec.kind.value}.{plugin.name}.{spec.name}"


def _uses(plugin: SchemaPlugin, spec: ComponentSpec) -> list[str]:
    """Return the ways to write it, the usual one first."""
    return list(dict.fromkeys((plugin.use(spec), f"{plugin.name}/{spec.name}")))


def _choice(kind: ComponentKind, found: Sequence[tuple[SchemaPlugin, ComponentSpec]]) -> dict[str, Any]:
    """Return the schema of a component table: `use` names one, and its options follow from that."""
    uses = [use for plugin, spec in found for use in _uses(plugin, spec)]
    has_default = kind is ComponentKind.BOOK
    rules = [
        {
            "if": {
                "properties": {"use": {"enum": _uses(plugin, spec)}},
                **({} if has_default and spec.name == _DEFAULT_BOOK else {"required": ["use"]}),
            },
            "then": {"$ref": f"#/$defs/{_definition_name(plugin, spec)}"},
        }
        for plugin, spec in found
    ]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {"use": {"enum": uses, "description": "A built-in's name or `plugin/component`."}},
        "allOf": rules,
    }
    return schema if has_default else {**schema, "required": ["use"]}


def _component(plugin: SchemaPlugin, spec: ComponentSpec) -> dict[str, Any]:
    schema = table_schema(spec.options)
    kernel = KERNEL_KEYS.get(spec.kind)
    kernel_keys = {field.name: field_schema(field) for field in option_fields(kernel)} if kernel is not None else {}
    parts = {part.value: _reference(part) for part in PARTS.get(spec.kind, ())}
    use = {"enum": _uses(plugin, spec), "description": spec.summary}
    component = {
        **schema,
        "description": f"{spec.summary}\n\n{spec.description}".strip(),
        "properties": {"use": use, **parts, **kernel_keys, **schema["properties"]},
    }
    return {**component, "required": [*parts, *schema.get("required", [])]} if parts else component
