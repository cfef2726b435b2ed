"""Conformance of a plugin as a whole: what the registry, the command line and the package page need from it."""

from __future__ import annotations

import inspect
import json
import keyword
import os
import re
import subprocess
import sys
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
import pluggy
import pytest

from mmframe.domain.views import Reason
from mmframe.errors import UsageError
from mmframe.plugin import (
    MMFRAME_API,
    AdviserSpec,
    BookSpec,
    ComponentSpec,
    FeedSpec,
    HistorySpec,
    LLMProviderSpec,
    OptimizerSpec,
    RiskControlSpec,
    SignalSpec,
    SinkSpec,
    VenueSpec,
    hookimpl,
)
from mmframe.plugin.hooks import ENTRY_POINT_GROUP, PROJECT_NAME, Hooks
from mmframe.plugin.options import OPTION_METADATA_KEY, OptionInfo
from mmframe.testing._check import case, expect, fail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution
    from types import ModuleType

__all__ = ["PluginConformance"]

_SPEC_CLASSES: dict[str, type[ComponentSpec]] = {
    "mmframe_register_feeds": FeedSpec,
    "mmframe_register_books": BookSpec,
    "mmframe_register_signals": SignalSpec,
    "mmframe_register_optimizers": OptimizerSpec,
    "mmframe_register_risk_controls": RiskControlSpec,
    "mmframe_register_venues": VenueSpec,
    "mmframe_register_histories": HistorySpec,
    "mmframe_register_llm_providers": LLMProviderSpec,
    "mmframe_register_advisers": AdviserSpec,
    "mmframe_register_sinks": SinkSpec,
}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_UNITS = ("_bps", "_ms", "_s", "_ns", "_ticks", "_lots", "_quote", "_usd", "_percent")
_RATES = ("_per_s", "_per_day")
"""A number of events; the name says it all."""
_SUMMARY_LENGTH_MAX = 120
_HEAVY = ("httpx", "websockets", "rich", "pytest", "hypothesis")
_IMPORT_TIMEOUT_S = 60.0

_IMPORT_PROBE = """
import json, sys, threading
events = []
WATCHED = ("socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.exec", "os.fork")
sys.addaudithook(lambda event, args: events.append(event) if event in WATCHED else None)
__import__(sys.argv[1])
heavy = sorted(set(sys.argv[2:]) & set(sys.modules))
print(json.dumps({"events": events, "threads": threading.active_count(), "heavy": heavy}))
"""


class PluginConformance:
    """Subclass it and set `module` and `entry_point`.

    Attributes:
        module: The module that the entry point names, as object or dotted name.
        entry_point: The plugin's name in group `mmframe`; None for a plugin that is a local file.
    """

    module: ClassVar[ModuleType | str] = ""
    entry_point: ClassVar[str | None] = None

    @case("MM-P01")
    def test_it_says_which_contract_it_was_written_for(self) -> None:
        """MM-P01."""
        was = getattr(self._module(), "MMFRAME_API", None)
        expect("MM-P01", was == MMFRAME_API, was=f"MMFRAME_API = {was!r}", expected=MMFRAME_API)

    @case("MM-P02")
    def test_its_hooks_exist(self) -> None:
        """MM-P02."""
        manager = _manager()
        try:
            manager.register(self._module())
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            fail("MM-P02", was=str(error).replace("\n", " "), expected="hooks of the reference with their arguments")
        callers = manager.get_hookcallers(self._module())
        expect("MM-P02", bool(callers), was="no function marked with hookimpl", expected="at least one hook")

    @case("MM-P03")
    def test_hooks_return_specs_of_their_kind(self) -> None:
        """MM-P03."""
        first, second = self._specs_by_hook(), self._specs_by_hook()
        for hook, specs in first.items():
            for spec in specs:
                expected = _SPEC_CLASSES[hook]
                expect("MM-P03", isinstance(spec, expected), was=f"{spec!r} from {hook}", expected=expected.__name__)
        names = [{hook: [spec.name for spec in specs] for hook, specs in found.items()} for found in (first, second)]
        expect("MM-P03", names[0] == names[1], was=f"{names[1]} on the second call", expected=names[0])

    @case("MM-P04")
    def test_names_are_plain_and_unique(self) -> None:
        """MM-P04."""
        for hook, specs in self._specs_by_hook().items():
            names = [spec.name for spec in specs]
            for name in names:
                expect(
                    "MM-P04",
                    bool(_NAME.fullmatch(name)),
                    was=name,
                    expected="lower case with dashes, as 'tight-quoter'",
                )
            expect("MM-P04", len(set(names)) == len(names), was=f"{names} from {hook}", expected="no name twice")

    @case("MM-P05")
    def test_summaries_are_one_line(self) -> None:
        """MM-P05."""
        for spec in self._specs():
            is_kept = 0 < len(spec.summary.strip()) <= _SUMMARY_LENGTH_MAX and "\n" not in spec.summary
            expect(
                "MM-P05",
                is_kept,
                was=f"{spec.name}: {spec.summary!r}",
                expected=f"one line, 1 to {_SUMMARY_LENGTH_MAX} characters",
            )

    @case("MM-P06")
    def test_options_are_documented(self) -> None:
        """MM-P06."""
        for place, field, info in self._options():
            expect("MM-P06", info is not None, was=f"{place} has no help", expected="a field made with option(...)")
            if info is not None:
                expect("MM-P06", len(info.help.split()) > 1, was=f"{place}: help {info.help!r}", expected="a sentence")
                needs_unit = field.name.endswith(_UNITS) and not field.name.endswith(_RATES)
                expect("MM-P06", bool(info.unit) or not needs_unit, was=f"{place}: no unit", expected='unit="..."')

    @case("MM-P07")
    def test_defaults_are_within_bounds(self) -> None:
        """MM-P07."""
        for place, field, info in self._options():
            default = field.default
            if info is None or default is None or isinstance(default, bool) or default is attrs.NOTHING:
                continue
            problem = _out_of_bounds(default, info)
            expect("MM-P07", not problem, was=f"{place}: default {default!r}", expected=problem or "within bounds")

    @case("MM-P08")
    def test_importing_it_is_light(self) -> None:
        """MM-P08."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        command = [sys.executable, "-c", _IMPORT_PROBE, self._module().__name__, *_HEAVY]
        done = subprocess.run(  # noqa: S603 - our own interpreter, on the plugin's own module
            command, capture_output=True, text=True, timeout=_IMPORT_TIMEOUT_S, check=False, env=environment
        )
        expect("MM-P08", done.returncode == 0, was=done.stderr.strip()[-500:], expected="an import that works alone")
        found = json.loads(done.stdout.splitlines()[-1])
        was = f"events {found['events']}, {found['threads'] - 1} threads, loaded {found['heavy']}"
        is_kept = not found["events"] and found["threads"] == 1 and not found["heavy"]
        expect("MM-P08", is_kept, was=was, expected="no connection, process or thread, none of " + ", ".join(_HEAVY))

    @case("MM-P09")
    def test_its_entry_point_is_installed_once(self) -> None:
        """MM-P09."""
        point = self._entry_point("MM-P09")
        expected = self._module().__name__
        expect("MM-P09", point.module == expected, was=point.value, expected=expected)

    @case("MM-P10")
    def test_its_distribution_says_what_it_needs(self) -> None:
        """MM-P10."""
        distribution = self._distribution("MM-P10")
        metadata = distribution.metadata.json
        needs = [re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0].lower() for line in distribution.requires or ()]
        summary, python = metadata.get("summary"), metadata.get("requires_python")
        is_kept = bool(summary) and bool(python) and PROJECT_NAME in needs
        was = f"Summary {summary!r}, Requires-Python {python!r}, needs {needs}"
        expect("MM-P10", is_kept, was=was, expected="a summary, a Python version and a dependency on mmframe")

    @case("MM-P11")
    def test_its_readme_names_every_component(self) -> None:
        """MM-P11."""
        readme = str(self._distribution("MM-P11").metadata.json.get("description", ""))
        missing = [use for spec in self._specs() if (use := f"{self.entry_point}/{spec.name}") not in readme]
        expect(
            "MM-P11",
            not missing,
            was=f"not in the README: {', '.join(missing)}",
            expected="every component as it is used",
        )

    @case("MM-P12")
    def test_load_order_does_not_matter(self) -> None:
        """MM-P12."""
        other = SimpleNamespace()
        for hook in _SPEC_CLASSES:
            setattr(other, hook, hookimpl(lambda: ()))
        seen = []
        for order in ((self._module(), other), (other, self._module())):
            manager = _manager()
            for plugin in order:
                manager.register(plugin)
            seen.append(
                {
                    hook: sorted(spec.name for specs in getattr(manager.hook, hook)() for spec in specs)
                    for hook in _SPEC_CLASSES
                }
            )
        expect("MM-P12", seen[0] == seen[1], was=f"{seen[1]} when loaded last", expected=seen[0])

    @case("MM-P13")
    def test_signals_and_reasons_are_well_formed(self) -> None:
        """MM-P13."""
        for spec in self._specs():
            names = [spec.provides] if isinstance(spec, SignalSpec) else list(getattr(spec, "needs", ()))
            for name in names:
                is_kept = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
                expect("MM-P13", is_kept, was=f"{spec.name}: {name!r}", expected="a Python identifier")
            for code, text in getattr(spec, "reasons", {}).items():
                is_kept = int(code) >= Reason.PLUGIN and bool(text.strip())
                expect(
                    "MM-P13",
                    is_kept,
                    was=f"{spec.name}: {code}: {text!r}",
                    expected=f"codes from {int(Reason.PLUGIN)} up, with a text",
                )

    @case("MM-P14")
    def test_it_ships_its_types(self) -> None:
        """MM-P14."""
        module = self._module()
        package = import_module(module.__name__.partition(".")[0])
        if not hasattr(package, "__path__"):
            pytest.skip("a plugin that is one file has no place for py.typed")
        folders = [Path(folder) for folder in package.__path__]
        is_kept = any((folder / "py.typed").is_file() for folder in folders)
        expect("MM-P14", is_kept, was=f"no py.typed in {package.__name__}", expected="py.typed beside __init__.py")

    def _module(self) -> ModuleType:
        module = type(self).module
        if not module:
            msg = f"{type(self).__name__}.module: expected the plugin's module, was {module!r}"
            raise UsageError(msg, hint="set `module = your_package.plugin` in the body of the test class")
        return import_module(module) if isinstance(module, str) else module

    def _specs_by_hook(self) -> dict[str, tuple[ComponentSpec, ...]]:
        module = self._module()
        return {hook: tuple(getattr(module, hook)()) for hook in _SPEC_CLASSES if hasattr(module, hook)}

    def _specs(self) -> list[Any]:
        return [spec for specs in self._specs_by_hook().values() for spec in specs]

    def _options(self) -> Iterator[tuple[str, attrs.Attribute[Any], OptionInfo | None]]:
        for spec in self._specs():
            if not attrs.has(spec.options):
                fail("MM-P06", was=f"{spec.name}: options {spec.options!r}", expected="an attrs class")
            yield from _fields(spec.name, spec.options)

    def _entry_point(self, case_id: str) -> EntryPoint:
        if type(self).entry_point is None:
            pytest.skip("a local plugin has no entry point")
        found = list(entry_points(group=ENTRY_POINT_GROUP, name=str(self.entry_point)))
        # One distribution can be listed twice, by an editable install and by its folder on the path.
        origins = {(point.value, point.dist.name if point.dist else "") for point in found}
        expect(
            case_id,
            len(origins) == 1,
            was=f"{len(origins)} installed entry points {self.entry_point!r} {sorted(origins)}",
            expected="exactly one; is it installed in this environment?",
        )
        return found[0]

    def _distribution(self, case_id: str) -> Distribution:
        distribution = self._entry_point(case_id).dist
        if distribution is None:
            fail(case_id, was="an entry point without a distribution", expected="an installed distribution")
        return distribution


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT_NAME)
    manager.add_hookspecs(Hooks)
    return manager


def _fields(place: str, options: type) -> Iterator[tuple[str, attrs.Attribute[Any], OptionInfo | None]]:
    for field in attrs.fields(options):
        info = field.metadata.get(OPTION_METADATA_KEY)
        yield f"{place}.{field.name}", field, info
        factory = getattr(field.default, "factory", None)
        if inspect.isclass(factory) and attrs.has(factory):
            yield from _fields(f"{place}.{field.name}", factory)


def _out_of_bounds(default: Any, info: OptionInfo) -> str:
    """Return which bound a default breaks, or nothing."""
    if info.choices and default not in info.choices:
        return f"one of {', '.join(info.choices)}"
    if isinstance(default, (str, tuple)) or not hasattr(default, "__lt__"):
        return ""
    if info.minimum is not None and default < info.minimum:
        return f"at least {info.minimum}"
    if info.maximum is not None and default > info.maximum:
        return f"at most {info.maximum}"
    if info.above is not None and default <= info.above:
        return f"above {info.above}"
    return ""
