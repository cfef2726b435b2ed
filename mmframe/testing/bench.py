"""A small harness for benchmarks: a subject against named references, in one run on one machine.

A figure in messages a second says as much about the machine as about the code; a ratio says something about the code.
So subject and references run in turn, round after round (A B C A B C ...), what disturbs the machine meets all of them
alike, and the medians are compared. Nothing here passes or fails by time.

A benchmark file is `bench_*.py` with a module-level tuple `BENCHMARKS`. Its parts run as ordinary code in the process
that calls `run_benchmark`.
"""

from __future__ import annotations

import gc
import importlib.util
from statistics import median
from time import process_time_ns
from typing import TYPE_CHECKING, Any

import attrs

from mmframe.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["Benchmark", "BenchmarkResult", "Contender", "ContenderResult", "discover", "run_benchmark"]

_ROUNDS = 5


@attrs.frozen
class Contender:
    """One way of doing the work.

    Attributes:
        name: Shown in the table.
        prepare: Makes the work ready and returns it as a function that does it once and returns how many operations
            that were; called before each round, outside the measured time. `prepare(scale)` sizes the work: 1.0 is
            the size to be reported, small values are for trying it out.
        needs: Module that must be importable; without it the contender is left out, and the result says so.
        target_ratio: Of a reference: how many times as fast the subject is meant to be, or None for no claim.
    """

    name: str
    prepare: Callable[[float], Callable[[], int]]
    needs: str | None = None
    target_ratio: float | None = None


@attrs.frozen(kw_only=True)
class Benchmark:
    """What is measured.

    Attributes:
        name: Shown in the table, and the key in JSON.
        unit: What one operation is: `message`, `order`, `call`.
        subject: Our way.
        references: Other ways of doing the same work.
        figures: `figures(scale)` returns more numbers by name, units included, such as percentiles; called once.
    """

    name: str
    unit: str
    subject: Contender
    references: tuple[Contender, ...] = ()
    figures: Callable[[float], Mapping[str, float]] | None = None


@attrs.frozen
class ContenderResult:
    """How one contender did.

    Attributes:
        operations: Operations a round.
        ns_per_operation: Median over the rounds; NaN when it did not run.
        per_second: Operations a second, from the median.
        ratio: How many times as fast the subject was, by the medians; 1.0 for the subject itself.
        target_ratio: The claim, or None.
        skipped_because: Why it did not run; empty when it did.
    """

    name: str
    operations: int = 0
    ns_per_operation: float = float("nan")
    per_second: float = float("nan")
    ratio: float = float("nan")
    target_ratio: float | None = None
    skipped_because: str = ""

    @property
    def meets_target(self) -> bool | None:
        """Tell whether the claim held here; None when there is none or the contender did not run."""
        if self.target_ratio is None or self.skipped_because:
            return None
        return self.ratio >= self.target_ratio


@attrs.frozen
class BenchmarkResult:
    """One benchmark's outcome; `contenders` begins with the subject."""

    name: str
    unit: str
    rounds: int
    contenders: tuple[ContenderResult, ...]
    figures: dict[str, float] = attrs.field(factory=dict)


def run_benchmark(
    benchmark: Benchmark,
    *,
    rounds: int = _ROUNDS,
    scale: float = 1.0,
    clock_ns: Callable[[], int] = process_time_ns,
) -> BenchmarkResult:
    """Run subject and references in turn and return the medians.

    Args:
        benchmark: What to run.
        rounds: Measurements of each contender, >= 1. One more round goes first and is not counted.
        scale: Size of the work, > 0.
        clock_ns: Reads the clock. By default processor time of this process, which a busy machine disturbs least; pass
            `time.perf_counter_ns` where waiting is part of the work.

    Raises:
        UsageError: If `rounds` or `scale` is out of range, or a contender reports no operation.
    """
    if rounds < 1 or not scale > 0.0:
        msg = f"benchmark {benchmark.name!r}: expected rounds >= 1 and scale > 0, was {rounds} and {scale}"
        raise UsageError(msg)
    contenders = (benchmark.subject, *benchmark.references)
    running = [contender for contender in contenders if not _missing(contender)]
    samples: dict[str, list[tuple[int, int]]] = {contender.name: [] for contender in running}
    for round_index in range(rounds + 1):
        for contender in running:
            sample = _measure(benchmark.name, contender, scale, clock_ns)
            if round_index:
                samples[contender.name].append(sample)
    results: list[ContenderResult] = []
    for contender in contenders:
        missing = _missing(contender)
        if missing:
            results.append(
                ContenderResult(contender.name, target_ratio=contender.target_ratio, skipped_because=missing)
            )
            continue
        cost_ns = median(elapsed / operations for elapsed, operations in samples[contender.name])
        subject_ns = results[0].ns_per_operation if results else cost_ns
        results.append(
            ContenderResult(
                contender.name,
                operations=samples[contender.name][-1][1],
                ns_per_operation=cost_ns,
                per_second=1e9 / cost_ns if cost_ns else float("inf"),
                ratio=cost_ns / subject_ns if subject_ns else float("nan"),
                target_ratio=contender.target_ratio,
            )
        )
    figures = {} if benchmark.figures is None else dict(benchmark.figures(scale))
    return BenchmarkResult(benchmark.name, benchmark.unit, rounds, tuple(results), figures)


def discover(directory: Path) -> tuple[Benchmark, ...]:
    """Return the benchmarks of all `bench_*.py` in `directory`, by file name.

    Raises:
        UsageError: If there is no such file, or one has no `BENCHMARKS` of `Benchmark`s.
    """
    files = sorted(directory.glob("bench_*.py"))
    if not files:
        msg = f"benchmarks: expected files bench_*.py in {str(directory)!r}, found none"
        raise UsageError(msg, hint="run it in a clone of the project, or name a directory that has some")
    return tuple(benchmark for file in files for benchmark in _load(file))


def _load(file: Path) -> Sequence[Benchmark]:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        msg = f"benchmarks: {str(file)!r} is not a Python module"
        raise UsageError(msg)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Any = getattr(module, "BENCHMARKS", None)
    if not isinstance(found, tuple) or not all(isinstance(benchmark, Benchmark) for benchmark in found):
        msg = f"benchmarks: expected a tuple of Benchmark as BENCHMARKS in {str(file)!r}, was {found!r}"
        raise UsageError(msg)
    return found


def _missing(contender: Contender) -> str:
    if contender.needs is None or importlib.util.find_spec(contender.needs) is not None:
        return ""
    return f"{contender.needs} is not installed"


def _measure(benchmark: str, contender: Contender, scale: float, clock_ns: Callable[[], int]) -> tuple[int, int]:
    work = contender.prepare(scale)
    # A collection that one contender's garbage triggers must not be paid by the next.
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        start_ns = clock_ns()
        operations = work()
        elapsed_ns = clock_ns() - start_ns
    finally:
        if was_enabled:
            gc.enable()
    if operations <= 0:
        msg = f"benchmark {benchmark!r}: expected {contender.name!r} to report operations above 0, was {operations}"
        raise UsageError(msg)
    return elapsed_ns, operations
