"""Our own components pass the kit that we ask of others."""

from __future__ import annotations

from typing import ClassVar

import pytest

from mmframe.builtin.books import BOOKS
from mmframe.builtin.optimizers import OPTIMIZERS
from mmframe.builtin.risk import RISK_CONTROLS
from mmframe.builtin.signals import SIGNALS
from mmframe.testing import (
    BookConformance,
    OptimizerConformance,
    PluginConformance,
    RiskControlConformance,
    SignalConformance,
)


class TestCore(PluginConformance):
    module = "mmframe.builtin.plugin"


def _classes(base, specs, **attributes):
    """Return one test class a spec, so that pytest names the component in its report."""
    made = {}
    for spec in specs:
        name = "Test" + "".join(part.title() for part in spec.name.split("-")) + base.__name__.removesuffix("Conformance")
        made[name] = type(name, (base,), {"spec": spec, **attributes})
    return made


globals().update(_classes(BookConformance, BOOKS))
globals().update(_classes(SignalConformance, SIGNALS))
globals().update(_classes(OptimizerConformance, OPTIMIZERS))
globals().update(_classes(RiskControlConformance, RISK_CONTROLS))
