"""Each case of a plugin as a whole fails for a package that breaks its rule."""

from __future__ import annotations

import importlib
import itertools
import sys

import pytest

from mmframe.errors import UsageError
from mmframe.testing import CASES, ConformanceError, PluginConformance

NUMBERS = itertools.count()

RIGHT = """
import attrs

from mmframe.domain.views import Reason
from mmframe.plugin import OptimizerSpec, SignalSpec, hookimpl, option

MMFRAME_API = 1


@attrs.frozen
class Options:
    width_bps: float = option(help="The width.", default=1.0, above=0.0, unit="bps")


QUOTER = OptimizerSpec(
    name="tight-quoter",
    summary="Quotes.",
    options=Options,
    needs=("volatility",),
    reasons={int(Reason.PLUGIN): "too thin"},
    build=lambda options, context: None,
)
SIGNAL = SignalSpec(name="drift", summary="Drifts.", provides="drift", build=lambda options, context: None)


@hookimpl
def mmframe_register_optimizers():
    return (QUOTER,)


@hookimpl
def mmframe_register_signals():
    return (SIGNAL,)
"""
METADATA = """\
Metadata-Version: 2.4
Name: {name}
Version: 1.0
Summary: Quotes.
Requires-Python: >=3.11
Requires-Dist: mmframe>=0.1
Description-Content-Type: text/markdown

use = "{name}/tight-quoter" and "{name}/drift"
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that installs a package made of `source` and returns its test class, ready to run."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(source=RIGHT, metadata=METADATA, *, entry_point="{package}.plugin", has_types=True, is_twice=False):
        package = f"kit_plugin_{next(NUMBERS)}"
        name = package.replace("_", "-")
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text("", encoding="utf-8")
        (folder / "plugin.py").write_text(source, encoding="utf-8")
        if has_types:
            (folder / "py.typed").write_text("", encoding="utf-8")
        for index in range(1 + is_twice):
            info = tmp_path / f"{package}{index or ''}-1.0.dist-info"
            info.mkdir()
            text = metadata.format(name=name)
            (info / "METADATA").write_text(text.replace("Name: k", f"Name: {'x' * index}k"), encoding="utf-8")
            point = entry_point.format(package=package)
            (info / "entry_points.txt").write_text(f"[mmframe]\n{name} = {point}\n", encoding="utf-8")
        importlib.invalidate_caches()
        attributes = {"module": f"{package}.plugin", "entry_point": name}
        return type("Subject", (PluginConformance,), attributes)()

    yield make
    for module in [module for module in sys.modules if module.startswith("kit_plugin_")]:
        del sys.modules[module]


def failing(subject, only=None):
    failed = []
    for name in sorted(dir(subject)):
        test = getattr(subject, name)
        if name.startswith("test_") and only in {None, test.conformance_case.id}:
            try:
                test()
            except ConformanceError as error:
                failed.append(error.case.id)
    return sorted(failed)


def test_a_right_plugin_passes(install):
    assert failing(install()) == []


@pytest.mark.parametrize(
    ("was", "becomes", "expected"),
    [
        ("MMFRAME_API = 1", "MMFRAME_API = 2", "MM-P01"),
        ("def mmframe_register_optimizers()", "def mmframe_register_optimisers()", "MM-P02"),
        ("def mmframe_register_optimizers()", "def mmframe_register_optimizers(markets)", "MM-P02"),
        ("@hookimpl\n", "", "MM-P02"),
        ("return (QUOTER,)", "return (SIGNAL,)", "MM-P03"),
        ('name="tight-quoter"', 'name="Tight_Quoter"', "MM-P04"),
        ("return (QUOTER,)", "return (QUOTER, QUOTER)", "MM-P04"),
        ('summary="Quotes."', 'summary="Quotes.\\nWell."', "MM-P05"),
        ('summary="Quotes."', 'summary=""', "MM-P05"),
        ('option(help="The width.", default=1.0, above=0.0, unit="bps")', "1.0", "MM-P06"),
        (', unit="bps"', "", "MM-P06"),
        ('help="The width."', 'help=""', "MM-P06"),
        ("above=0.0", "above=1.0", "MM-P07"),
        ("above=0.0", "minimum=2.0", "MM-P07"),
        ("above=0.0", "maximum=0.5", "MM-P07"),
        ("import attrs\n", "import attrs\nimport httpx\n", "MM-P08"),
        (
            "import attrs\n",
            "import attrs\nimport threading, time\nthreading.Thread(target=time.sleep, args=(1,)).start()\n",
            "MM-P08",
        ),
        ("import attrs\n", "import attrs\nimport socket\nsocket.getaddrinfo('localhost', 80)\n", "MM-P08"),
        ("import attrs\n", "import attrs\nimport sys\nif sys.argv[0] == '-c': raise OSError\n", "MM-P08"),
        ('needs=("volatility",)', 'needs=("vola-tility",)', "MM-P13"),
        ('provides="drift"', 'provides="class"', "MM-P13"),
        ("{int(Reason.PLUGIN): ", "{int(Reason.HALTED): ", "MM-P13"),
        ('"too thin"', '" "', "MM-P13"),
    ],
)
def test_a_broken_module_is_caught(install, was, becomes, expected):
    assert was in RIGHT

    assert failing(install(RIGHT.replace(was, becomes)), only=expected) == [expected]


def test_specs_that_change_from_call_to_call_are_caught(install):
    source = RIGHT.replace("    return (QUOTER,)", "    calls.append(1)\n    return (QUOTER,)[: len(calls) % 2]")

    subject = install(f"calls = []\n{source}")

    assert failing(subject, only="MM-P03") == ["MM-P03"]


def test_a_plugin_that_looks_at_others_while_registering_is_caught(install):
    # The only sign of the load order that a hook can see: which hooks of others were called before.
    source = RIGHT.replace("    return (SIGNAL,)", "    calls.append(1)\n    return (SIGNAL,) * (len(calls) % 2)")

    subject = install(f"calls = []\n{source}")

    assert failing(subject, only="MM-P12") == ["MM-P12"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"entry_point": "{package}.other"}, "MM-P09"),
        ({"is_twice": True}, "MM-P09"),
        ({"metadata": METADATA.replace("Summary: Quotes.\n", "")}, "MM-P10"),
        ({"metadata": METADATA.replace("Requires-Python: >=3.11\n", "")}, "MM-P10"),
        ({"metadata": METADATA.replace("mmframe>=0.1", "mmframework")}, "MM-P10"),
        ({"metadata": METADATA.replace('and "{name}/drift"', "")}, "MM-P11"),
        ({"has_types": False}, "MM-P14"),
    ],
)
def test_a_broken_distribution_is_caught(install, changes, expected):
    assert failing(install(**changes), only=expected) == [expected]


def test_a_plugin_that_is_not_installed_is_told_so(install):
    subject = install()
    type(subject).entry_point = "nowhere"

    with pytest.raises(ConformanceError, match="exactly one; is it installed in this environment"):
        subject.test_its_entry_point_is_installed_once()


def test_a_test_class_without_module_says_what_to_set():
    with pytest.raises(UsageError) as failure:
        type("Empty", (PluginConformance,), {})().test_its_hooks_exist()

    assert failure.value.message == "Empty.module: expected the plugin's module, was ''"


def test_every_plugin_case_is_tried_by_exactly_one_test():
    tried = [getattr(PluginConformance, n).conformance_case.id for n in dir(PluginConformance) if n.startswith("test_")]

    assert sorted(tried) == sorted(case_id for case_id in CASES if case_id.startswith("MM-P"))
