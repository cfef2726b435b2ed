"""What all conformance classes share: a spec under test, ways to build it, and failures that explain themselves."""

from __future__ import annotations

import functools
import gc
import sys
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, ParamSpec, TypeVar

from hypothesis import HealthCheck, given, settings
from hypothesis.errors import HypothesisException

from mmframe.domain.instrument import Instrument
from mmframe.domain.kinds import Mode
from mmframe.domain.views import FillTick
from mmframe.errors import UsageError
from mmframe.testing.builders import build_component, make_instrument
from mmframe.testing.cases import CASES, ConformanceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import SearchStrategy

    from mmframe.plugin import ComponentSpec
    from mmframe.testing.strategies import Situation

__all__ = ["ComponentConformance", "case", "deep_size_bytes", "expect", "fail", "rule_faults", "tell_fill"]

P = ParamSpec("P")
R = TypeVar("R")


def fail(case_id: str, *, was: object, expected: object) -> NoReturn:
    """Raise the failure of a case."""
    raise ConformanceError(CASES[case_id], was=_shown(was), expected=_shown(expected))


def expect(case_id: str, is_kept: bool, *, was: object, expected: object) -> None:  # noqa: FBT001 - reads as an assertion
    """Raise the failure of a case unless its rule is kept."""
    if not is_kept:
        fail(case_id, was=was, expected=expected)


def case(case_id: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a test as that of a case: what a component raises becomes the case's failure, with the original as cause."""
    subject = CASES[case_id]

    def decorate(test: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(test)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return test(*args, **kwargs)
            except (ConformanceError, UsageError, HypothesisException):
                raise
            except Exception as error:
                failure = ConformanceError(
                    subject, was=f"{type(error).__name__}: {error}", expected="no exception while the rule is tried"
                )
                for note in getattr(error, "__notes__", ()):
                    failure.add_note(note)
                raise failure from error

        run.__doc__ = f"{subject.id}: {subject.rule}"
        run.conformance_case = subject  # type: ignore[attr-defined] # read by tests of the kit
        return run

    return decorate


class ComponentConformance:
    """What a test class of one component sets; subclass the class of its kind.

    Attributes:
        spec: The component's spec.
        options: An instance of `spec.options`; None takes all defaults.
        instruments: The strategy's markets; the component is tested on the first.
        mode: The mode that it is built for.
        directory: Where relative paths in options start.
        seed: Of its random stream.
        examples_max: Examples that hypothesis tries for each property.
    """

    spec: ClassVar[Any] = None
    options: ClassVar[Any] = None
    instruments: ClassVar[tuple[Instrument, ...]] = (make_instrument(),)
    mode: ClassVar[Mode] = Mode.PAPER
    directory: ClassVar[Path] = Path()
    seed: ClassVar[int] = 1
    examples_max: ClassVar[int] = 50

    spec_class: ClassVar[type[ComponentSpec]]
    """Set by the class of each kind."""

    def build(self, **context: Any) -> Any:
        """Return a new component; override it when building takes more than spec and options.

        Raises:
            UsageError: If the test class has no spec of its kind.
        """
        spec = type(self).spec
        if not isinstance(spec, self.spec_class):
            msg = f"{type(self).__name__}.spec: expected a {self.spec_class.__name__}, was {spec!r}"
            raise UsageError(msg, hint="set `spec = YOUR_SPEC` in the body of the test class")
        context = {
            "instruments": self.instruments,
            "mode": self.mode,
            "directory": self.directory,
            "seed": self.seed,
            **context,
        }
        return build_component(spec, type(self).options, **context)

    def for_all(
        self, holds: Callable[..., None], /, *, edges: Iterable[Any] = (), **strategies: SearchStrategy[Any]
    ) -> None:
        """Try `holds` on `edges`, one argument each, then on generated arguments.

        The example that fails is printed with the failure.
        """
        for edge in edges:
            try:
                holds(edge)
            except Exception as error:
                error.add_note(f"Failing edge case: {edge!r}")
                raise
        # A fresh property per call: an inherited @given method is refused when two subclasses run it.
        checked = settings(
            max_examples=self.examples_max,
            deadline=None,
            report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        checked(given(**strategies)(holds))()


def deep_size_bytes(component: object) -> int:
    """Return the size of all that `component` reaches, without code and modules: what only data can make grow."""
    seen: set[int] = set()
    waiting: list[Any] = [component]
    total = 0
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType)):
            continue
        seen.add(id(item))
        total += sys.getsizeof(item)
        waiting.extend(gc.get_referents(item))
    return total


def tell_fill(component: object, situation: Situation) -> None:
    """Let a stage that learns from fills see one that fits a situation: our bid, or our ask, was taken."""
    on_fill = getattr(component, "on_fill", None)
    if on_fill is None:
        return
    view, inventory = situation.view, situation.inventory
    is_buy = inventory.position <= inventory.target
    price, size = (view.bid, view.bid_size) if is_buy else (view.ask, view.ask_size)
    on_fill(
        FillTick(
            now_ns=view.now_ns,
            price=price,
            size=size or view.lot,
            side=1.0 if is_buy else -1.0,
            mid=view.mid,
            is_maker=1.0,
        )
    )


_FORBIDDEN_INSTRUCTIONS = {
    "RAISE_VARARGS": "raise",
    "BUILD_MAP": "dict",
    "BUILD_CONST_KEY_MAP": "dict",
    "BUILD_SET": "set",
    "FORMAT_VALUE": "f-string",
    "BUILD_STRING": "f-string",
    "IMPORT_NAME": "import",
    "STORE_GLOBAL": "global",
    "SETUP_WITH": "with",
    "BEFORE_WITH": "with",
    "PUSH_EXC_INFO": "try",
    "YIELD_VALUE": "yield",
}


def rule_faults(function: Callable[..., object], params: object) -> Iterable[str]:
    """Yield what keeps a rule's function or params from being compiled."""
    import dis  # noqa: PLC0415 - only here, and it is not small

    code = getattr(function, "__code__", None)
    if code is None:
        yield f"{function!r} is not a plain function"
        return
    for instruction in dis.get_instructions(code):
        if instruction.opname in _FORBIDDEN_INSTRUCTIONS:
            yield f"{code.co_name} uses {_FORBIDDEN_INSTRUCTIONS[instruction.opname]}"
        elif instruction.opname in {"LOAD_METHOD", "LOAD_ATTR"} and instruction.argval == "_replace":
            yield f"{code.co_name} uses _replace"
        elif instruction.opname == "LOAD_CONST" and isinstance(instruction.argval, (str, bytes)):
            yield f"{code.co_name} uses the string {instruction.argval!r}"
    if code.co_freevars:
        yield f"{code.co_name} closes over {', '.join(code.co_freevars)}"
    yield from _params_faults(params)


def _params_faults(params: object) -> Iterable[str]:
    if not isinstance(params, tuple):
        yield f"params is a {type(params).__name__}, not a tuple"
        return
    names = getattr(params, "_fields", [str(index) for index in range(len(params))])
    for name, value in zip(names, params, strict=True):
        if isinstance(value, tuple):
            yield from _params_faults(value)
        elif not isinstance(value, (int, float)):
            yield f"params.{name} is a {type(value).__name__}, not a number"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else repr(value)
