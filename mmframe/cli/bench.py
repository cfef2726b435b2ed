"""`mmframe bench`: how fast it is, as ratios against named references measured in the same run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mmframe.cli.output import json_option, write_json, write_lines
from mmframe.cli.text import columns, note, paint
from mmframe.errors import UsageError

if TYPE_CHECKING:
    from mmframe.testing.bench import Benchmark, BenchmarkResult, ContenderResult

__all__ = ["bench_command"]

_DEFAULT_DIRECTORY = Path("tests") / "bench"


@click.command(short_help="Measure speed against named references.")
@json_option
@click.option("--only", metavar="TEXT", help="Run only benchmarks with this text in their name.")
@click.option(
    "--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Measurements of each contender."
)
@click.option("--scale", type=float, default=1.0, show_default=True, help="Size of the work; small values try it out.")
@click.argument("directory", type=click.Path(path_type=Path), default=_DEFAULT_DIRECTORY, metavar="[DIRECTORY]")
def bench_command(*, as_json: bool, only: str | None, rounds: int, scale: float, directory: Path) -> int:
    """Run the benchmarks bench_*.py in DIRECTORY, tests/bench by default.

    A ratio above 1 says how many times as fast the subject was as a reference, both measured in turn on this machine.
    Nothing fails by time.
    """
    from mmframe.testing.bench import run_benchmark

    results = []
    for benchmark in _chosen(directory, only):
        note(f"measuring {benchmark.name} ...")
        result = run_benchmark(benchmark, rounds=rounds, scale=scale)
        results.append(result)
        if not as_json:
            write_lines(_result_lines(result))
    if as_json:
        write_json({"benchmarks": [_result_object(result) for result in results]})
    return 0


def _chosen(directory: Path, only: str | None) -> tuple[Benchmark, ...]:
    from mmframe.testing.bench import discover

    if not directory.is_dir():
        message = f"no benchmarks: there is no folder {str(directory)!r} here"
        raise UsageError(
            message,
            hint="an installed mmframe has none; run it in a clone of the project, or name a folder of bench_*.py",
        )
    found = discover(directory)
    chosen = tuple(benchmark for benchmark in found if only is None or only in benchmark.name)
    if not chosen:
        names = ", ".join(benchmark.name for benchmark in found)
        message = f"--only: expected part of one of {names}, was {only!r}"
        raise UsageError(message)
    return chosen


def _result_lines(result: BenchmarkResult) -> list[str]:
    rows = [_contender_row(contender) for contender in result.contenders]
    lines = [
        paint(f"{result.name}  (median of {result.rounds} rounds)", bold=True),
        *columns(
            rows,
            headings=("", f"ns/{result.unit}", f"{result.unit}s/s", "subject is faster by", "claim"),
            numeric=(1, 2, 3),
        ),
    ]
    if result.figures:
        lines += columns([(name, f"{value:,.6g}") for name, value in result.figures.items()])
    return [*lines, ""]


def _contender_row(contender: ContenderResult) -> tuple[str, str, str, str, str]:
    if contender.skipped_because:
        return (contender.name, "-", "-", "-", f"left out: {contender.skipped_because}")
    claim = "" if contender.target_ratio is None else f">= {contender.target_ratio:g} x"
    if contender.meets_target is not None:
        claim += "  holds" if contender.meets_target else "  missed"
    ratio = f"{contender.ratio:.2f} x"
    return (contender.name, f"{contender.ns_per_operation:,.0f}", f"{contender.per_second:,.0f}", ratio, claim)


def _result_object(result: BenchmarkResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "unit": result.unit,
        "rounds": result.rounds,
        "contenders": [
            {
                "name": contender.name,
                "operations": contender.operations,
                "ns_per_operation": _number(contender.ns_per_operation),
                "per_second": _number(contender.per_second),
                "ratio": _number(contender.ratio),
                "target_ratio": contender.target_ratio,
                "meets_target": contender.meets_target,
                "skipped_because": contender.skipped_because or None,
            }
            for contender in result.contenders
        ],
        "figures": {name: _number(value) for name, value in result.figures.items()},
    }


def _number(value: float) -> float | None:
    # JSON knows no NaN or infinity.
    return value if math.isfinite(value) else None
