"""The benchmark harness runs its contenders in turn and compares medians."""

import pytest

from mmframe.errors import UsageError
from mmframe.testing.bench import Benchmark, Contender, discover, run_benchmark


class ScriptedClock:
    """Advances by what the work under measurement says it took."""

    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        return self.now_ns


def contender(name, clock, costs_ns, *, log=None, **claims):
    """Takes the next of `costs_ns` for 10 operations each time it runs; the first run is not counted."""
    left = iter(costs_ns)

    def prepare(scale):
        def work():
            clock.now_ns += next(left)
            if log is not None:
                log.append((name, scale))
            return 10

        return work

    return Contender(name, prepare, **claims)


def test_it_compares_the_medians_of_the_counted_rounds():
    clock = ScriptedClock()
    benchmark = Benchmark(
        name="b",
        unit="call",
        subject=contender("ours", clock, [9_999, 100, 120, 110]),
        references=(contender("theirs", clock, [1, 300, 330, 9_000], target_ratio=2.5),),
        figures=lambda scale: {"p99_ns": 7.0 * scale},
    )

    result = run_benchmark(benchmark, rounds=3, clock_ns=clock)

    ours, theirs = result.contenders
    assert (ours.ns_per_operation, ours.ratio, ours.operations) == (11.0, 1.0, 10)
    assert (theirs.ns_per_operation, theirs.ratio, theirs.meets_target) == (33.0, 3.0, True)
    assert theirs.per_second == pytest.approx(1e9 / 33.0)
    assert result.figures == {"p99_ns": 7.0}


def test_contenders_take_turns():
    clock, log = ScriptedClock(), []
    benchmark = Benchmark(
        name="b",
        unit="call",
        subject=contender("ours", clock, [1] * 3, log=log),
        references=(contender("theirs", clock, [1] * 3, log=log),),
    )

    run_benchmark(benchmark, rounds=2, scale=0.5, clock_ns=clock)

    assert log == [("ours", 0.5), ("theirs", 0.5)] * 3


def test_a_reference_that_is_not_installed_is_left_out_and_said_so():
    clock = ScriptedClock()
    benchmark = Benchmark(
        name="b",
        unit="call",
        subject=contender("ours", clock, [1, 1]),
        references=(Contender("theirs", pytest.fail, needs="a_module_nobody_has", target_ratio=2.0),),
    )

    theirs = run_benchmark(benchmark, rounds=1, clock_ns=clock).contenders[1]

    assert theirs.skipped_because == "a_module_nobody_has is not installed"
    assert theirs.meets_target is None


@pytest.mark.parametrize(("rounds", "scale"), [(0, 1.0), (1, 0.0), (1, float("nan"))])
def test_rounds_and_scale_must_make_sense(rounds, scale):
    benchmark = Benchmark(name="b", unit="call", subject=Contender("ours", pytest.fail))

    with pytest.raises(UsageError) as caught:
        run_benchmark(benchmark, rounds=rounds, scale=scale)

    assert caught.value.message == f"benchmark 'b': expected rounds >= 1 and scale > 0, was {rounds} and {scale}"


def test_work_that_did_nothing_is_an_error():
    benchmark = Benchmark(name="b", unit="call", subject=Contender("ours", lambda _scale: lambda: 0))

    with pytest.raises(UsageError) as caught:
        run_benchmark(benchmark)

    assert caught.value.message == "benchmark 'b': expected 'ours' to report operations above 0, was 0"


def test_discovery_reads_the_files_by_name(tmp_path):
    for name in ("bench_b", "bench_a"):
        (tmp_path / f"{name}.py").write_text(
            "from mmframe.testing.bench import Benchmark, Contender\n"
            f"BENCHMARKS = (Benchmark(name={name!r}, unit='call', subject=Contender('ours', None)),)\n"
        )

    assert [benchmark.name for benchmark in discover(tmp_path)] == ["bench_a", "bench_b"]


def test_a_folder_without_benchmarks_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="found none"):
        discover(tmp_path)


@pytest.mark.parametrize("text", ["", "BENCHMARKS = []", "BENCHMARKS = (1,)"])
def test_a_file_without_benchmarks_is_an_error(tmp_path, text):
    (tmp_path / "bench_empty.py").write_text(text)

    with pytest.raises(UsageError, match="expected a tuple of Benchmark as BENCHMARKS"):
        discover(tmp_path)
