"""Every benchmark of this folder works; how fast anything is, no test asks."""

from pathlib import Path

import pytest

from mmframe.testing.bench import discover, run_benchmark

BENCHMARKS = discover(Path(__file__).parent)


@pytest.mark.parametrize(
    "benchmark",
    [
        # Each of these starts a process for every measurement.
        pytest.param(benchmark, marks=[pytest.mark.slow] if benchmark.name.startswith("live path") else [])
        for benchmark in BENCHMARKS
    ],
    ids=lambda benchmark: benchmark.name,
)
def test_it_measures_each_contender_that_is_installed(benchmark):
    result = run_benchmark(benchmark, rounds=1, scale=1e-3)

    assert [contender.name for contender in result.contenders] == [
        contender.name for contender in (benchmark.subject, *benchmark.references)
    ]
    for contender in result.contenders:
        assert contender.skipped_because or contender.operations > 0


def test_names_are_their_own():
    names = [benchmark.name for benchmark in BENCHMARKS]

    assert len(set(names)) == len(names)


def test_every_way_of_keeping_the_book_reads_the_same_figures():
    pytest.importorskip("sortedcontainers")
    benchmark = next(benchmark for benchmark in BENCHMARKS if benchmark.name == "book-spot")
    contenders = [benchmark.subject, *benchmark.references]
    seen = {}

    for contender in contenders:
        if contender.needs == "order_book":
            pytest.importorskip("order_book")
        work = contender.prepare(0.01)
        module = work.__globals__
        readings, read = [], module["_read"]
        module["_read"] = lambda *arguments, to=readings: to.append(
            (arguments[0], arguments[1], list(map(tuple, arguments[2])), list(map(tuple, arguments[3])))
        )
        try:
            work()
        finally:
            module["_read"] = read
        seen[contender.name] = readings

    assert len(seen["sorted"]) == 51
    assert all(readings == seen["sorted"] for readings in seen.values())
