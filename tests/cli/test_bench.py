from __future__ import annotations

import json

import pytest

BENCHMARKS = """\
from mmframe.testing.bench import Benchmark, Contender


def work(scale):
    return lambda: sum(1 for _ in range(int(100 * scale)))


def slow(scale):
    return lambda: sum(1 for _ in range(int(100 * scale)) for _ in range(50)) // 50


BENCHMARKS = (
    Benchmark(
        name="counting",
        unit="step",
        subject=Contender("ours", work),
        references=(
            Contender("theirs", slow, target_ratio=1.01),
            Contender("absent", work, needs="no_such_peer"),
        ),
        figures=lambda scale: {"p99_ns": 12.5},
    ),
)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bench_counting.py").write_text(BENCHMARKS, encoding="utf-8")
    return tmp_path


def test_a_person_reads_ratios_claims_and_what_was_left_out(invoke, folder):
    shown = invoke("bench", folder, "--rounds", "1", "--scale", "10")

    ours, theirs, absent = shown.stdout.splitlines()[2:5]
    assert shown.status == 0
    assert ours.split()[0] == "ours"
    assert theirs.rstrip().endswith(">= 1.01 x  holds")
    assert absent.rstrip().endswith("left out: no_such_peer is not installed")
    assert "p99_ns  12.5" in shown.stdout
    assert shown.stderr == "measuring counting ...\n"


def test_a_program_gets_one_object_without_nan(invoke, folder):
    answer = json.loads(invoke("bench", folder, "--rounds", "1", "--json").stdout)

    contenders = answer["benchmarks"][0]["contenders"]
    assert [one["name"] for one in contenders] == ["ours", "theirs", "absent"]
    assert contenders[0]["ratio"] == 1.0
    assert contenders[2]["ratio"] is None
    assert contenders[2]["skipped_because"] == "no_such_peer is not installed"


def test_an_installed_copy_has_no_benchmarks_and_says_so(invoke, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    ended = invoke("bench")

    assert ended.status == 2
    assert "there is no folder 'tests/bench' here" in ended.stderr
    assert "run it in a clone of the project" in ended.stderr


def test_only_picks_by_part_of_the_name(invoke, folder):
    assert invoke("bench", folder, "--only", "count", "--rounds", "1").status == 0
    assert "--only: expected part of one of counting, was 'x-ray'" in invoke("bench", folder, "--only", "x-ray").stderr
