# ruff: noqa: E501 - exact messages stand on one line, or in pieces where they are too long for that
from __future__ import annotations

import hashlib
import os
import textwrap
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmframe.config import load_strategy_file
from mmframe.config.durations import duration_ns, duration_text
from mmframe.config.strategy import read_strategy_file
from mmframe.domain.kinds import Mode
from mmframe.errors import ConfigErrors, DomainError

START = """\
schema = 1
[strategy]
name = "one"
"""
MARKET = """\
[[markets]]
instrument = "BTC/USDT"
order_size = "0.01"
"""
OPTIMIZER = """\
[[optimizer]]
use = "fixed-spread"
"""


@pytest.fixture
def load(tmp_path):
    def load(text: str):
        path = tmp_path / "strategy.toml"
        path.write_text(textwrap.dedent(text))
        return load_strategy_file(path)

    return load


@pytest.fixture
def problems(load):
    def problems(text: str) -> list[tuple[int | None, str]]:
        with pytest.raises(ConfigErrors) as caught:
            load(text)
        return [(problem.line, problem.message) for problem in caught.value.problems]

    return problems


def test_the_smallest_strategy_has_defaults_for_the_rest(load):
    file = load(START + MARKET + OPTIMIZER)

    (market,) = file.markets
    assert (file.mode, file.duration_ns, file.speed, file.stale_after_ms) == (Mode.PAPER, None, 1.0, 0)
    assert (market.book.use, market.book.is_default) == ("sorted", True)
    assert market.table.order_size == Decimal("0.01")
    assert [optimizer.key for optimizer in market.optimizers] == ["optimizer[0]"]
    assert (file.feed, file.history, file.venue, dict(file.venues)) == (None, None, None, {})


def test_a_market_lays_its_limits_over_those_of_the_strategy(load):
    file = load(
        START
        + '[gate]\nmax_position = "5"\nmax_open_orders = 9\n'
        + MARKET
        + '[markets.gate]\nmax_position = "2"\n[markets.ladder]\nlevels = 3\n'
        + '[[markets]]\ninstrument = "ETH/USDT"\norder_size = 1\n'
        + OPTIMIZER
    )

    first, second = file.markets
    assert (first.gate.max_position, first.gate.max_open_orders, first.ladder.levels) == (Decimal(2), 9, 3)
    assert (second.gate.max_position, second.gate.max_open_orders, second.ladder.levels) == (Decimal(5), 9, 1)
    assert first.limit_path("gate", "max_position") == ("markets", 0, "gate", "max_position")
    assert first.limit_path("gate", "max_open_orders") == ("gate", "max_open_orders")


def test_a_market_replaces_whole_chains(load):
    file = load(
        START
        + OPTIMIZER
        + '[[signal]]\nuse = "a"\n'
        + MARKET
        + '[[markets.optimizer]]\nuse = "x"\n[[markets.optimizer]]\nuse = "y"\n'
        + '[[markets]]\ninstrument = "ETH/USDT"\norder_size = 1\nsignal = []\n'
    )

    first, second = file.markets
    assert [table.use for table in first.optimizers] == ["x", "y"]
    assert [table.key for table in first.optimizers] == ["markets[0].optimizer[0]", "markets[0].optimizer[1]"]
    assert [table.use for table in first.signals] == ["a"]
    assert [table.use for table in second.optimizers] == ["fixed-spread"]
    assert second.signals == ()


def test_a_market_lays_book_options_over_the_same_book_and_replaces_another(load):
    book = '[book]\nuse = "p/deep"\nlevels = 5\nwidth = 1\n'
    file = load(
        START + OPTIMIZER + book + MARKET + "[markets.book]\nlevels = 9\n"
        '[[markets]]\ninstrument = "ETH/USDT"\norder_size = 1\n[markets.book]\nuse = "other"\n'
    )

    first, second = file.markets
    assert (first.book.use, dict(first.book.raw)) == ("p/deep", {"levels": 9, "width": 1})
    assert (first.book.path, dict(first.book.key_paths)) == (("markets", 0, "book"), {"width": ("book",)})
    assert (second.book.use, dict(second.book.raw)) == ("other", {})


def test_venues_stand_alone_or_by_mode(load):
    plain = load(START + MARKET + OPTIMIZER + '[venue]\nuse = "a"\n')
    by_mode = load(START + MARKET + OPTIMIZER + '[venue.paper]\nuse = "p"\n[venue.live]\nuse = "l"\n')

    assert [plain.venue_for(mode).use for mode in Mode] == ["a", "a", "a"]
    assert [by_mode.venue_for(mode).use for mode in Mode] == ["p", "p", "l"]
    assert load(START + MARKET + OPTIMIZER).venue_for(Mode.BACKTEST) is None


def test_keys_of_the_kernel_are_taken_out_of_component_tables(load):
    file = load(
        START
        + MARKET
        + OPTIMIZER
        + '[feed]\nuse = "f"\nstale_after_ms = 5\ndepth = 3\n[[signal]]\nuse = "s"\nname = "n"\n'
    )

    assert (file.stale_after_ms, dict(file.feed.raw)) == (5, {"depth": 3})
    assert (file.markets[0].signals[0].kernel.name, dict(file.markets[0].signals[0].raw)) == ("n", {})


def test_speed_and_duration_are_read(load):
    file = load(START + MARKET + OPTIMIZER + '[run]\nspeed = "max"\nduration = "1h30m"\n')

    assert (file.speed, file.duration_ns) == (None, 5_400_000_000_000)


def test_the_sizes_of_a_ladder_are_summed_exactly(load):
    (market,) = load(START + MARKET + OPTIMIZER + "[ladder]\nlevels = 3\nsize_factor = 1.1\n").markets

    assert market.ladder_size == Decimal("0.0331")
    assert market.largest_order == Decimal("0.0121")


def test_problems_come_in_the_order_of_lines(problems):
    found = problems('schema = 1\nfeeds = 1\n[strategy]\nname = 3\n[run]\nmode = "x"\n')

    assert [line for line, _ in found] == [None, 2, 4, 6]


def test_a_wrong_key_does_not_hide_what_else_is_wrong_in_its_table(problems):
    found = problems(
        START + OPTIMIZER + '[run]\nmode = 1\nspeed = "fast"\n[[markets]]\ninstrument = "BTC"\norder_size = 0.1\n'
    )

    assert [message.split(":")[0] for _, message in found] == [
        "run.mode",
        "run.speed",
        "markets[0].instrument",
        "markets[0].order_size",
    ]


def one_problem(path) -> tuple[str, str | None]:
    with pytest.raises(ConfigErrors) as caught:
        read_strategy_file(path)
    (problem,) = caught.value.problems
    return f"{problem.location}: {problem.message}", problem.hint


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "strategy.toml").write_text("")
    os.mkfifo(tmp_path / "pipe")
    big = tmp_path / "big.toml"
    big.write_bytes(b"#" * ((1 << 20) + 1))

    assert one_problem(tmp_path / "strategi.toml") == (
        f"{tmp_path}/strategi.toml: no such file",
        "did you mean 'strategy.toml'?",
    )
    assert one_problem(tmp_path / "nowhere/x.toml") == (f"{tmp_path}/nowhere/x.toml: no such file", None)
    assert one_problem(tmp_path) == (
        f"{tmp_path}: expected a strategy file, was a directory",
        f"did you mean '{tmp_path}/strategy.toml'?",
    )
    assert one_problem(tmp_path / "pipe")[0].endswith("expected a strategy file, was a device or pipe")
    assert one_problem(big)[0].endswith("expected at most 1048576 bytes, was 1048577")
    assert one_problem(tmp_path / "strategy.toml")[0].endswith("expected a strategy, was an empty file")
    assert one_problem(tmp_path / "strategy.toml" / "x")[0].endswith("cannot be read: Not a directory")
    assert "embedded null" in one_problem(tmp_path / "a\0b")[0]  # the rest of the sentence is each Python's own


def test_a_file_that_is_no_text_names_the_byte_and_the_line(tmp_path):
    path = tmp_path / "strategy.toml"
    path.write_bytes(b"schema = 1\nname = '\xe9'\n")

    assert one_problem(path) == (f"{path}:2: expected UTF-8 text, was the byte 0xe9", "save the file as UTF-8")


def test_a_byte_order_mark_is_no_problem(tmp_path):
    path = tmp_path / "strategy.toml"
    path.write_bytes(b"\xef\xbb\xbf" + (START + MARKET + OPTIMIZER).encode())

    assert load_strategy_file(path).strategy.name == "one"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = ", "1: column 5: expected a value: text in quotes, a number, true, false, an array or a table"),
        ("x = 1\na b = 2", "2: column 3: expected `key = value`"),
        ("a = 1\na = 2", "2: column 6: expected each key once, was here before with another value"),
        ("[a]\n[a]", "2: column 3: expected each table once, was declared before"),
        ("a = [1,\n", "2: column 1: expected a value: text in quotes, a number, true, false, an array or a table"),
        ("[a", "1: column 3: expected `]`"),
        ("[[a]", "1: column 4: expected `]]`"),
        ("a = 'x", "1: column 7: expected the closing quote of a string"),
        ("a = 1 2", "1: column 7: expected the end of the line; a value stands alone on its line"),
        ("a = " + "9" * 5000, "1: expected integers of at most 64 bits, was one of thousands of digits"),
        ("a = " + "[" * 900 + "]" * 900, "expected less nesting: arrays or inline tables are too deep in each other to be read"),
    ],
)  # fmt: skip
def test_what_is_no_toml_is_placed_by_line_and_column(tmp_path, text, expected):
    path = tmp_path / "strategy.toml"
    path.write_text(text)

    assert one_problem(path)[0].removeprefix(f"{path}:").strip() == expected


@given(st.binary(max_size=200))
def test_no_bytes_lead_to_anything_but_located_problems(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "bytes.toml"
    path.write_bytes(data)

    with pytest.raises(ConfigErrors):
        load_strategy_file(path)


VALUES = st.recursive(
    st.sampled_from(["1", "-1", "1.5", "nan", "true", '""', '"x"', "1979-05-27", "9" * 30]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2).map(lambda items: f"[{', '.join(items)}]"),
        inner.map(lambda item: f"{{ use = {item}, levels = {item} }}"),
    ),
    max_leaves=4,
)
KEYS = (
    "strategy",
    "markets",
    "feed",
    "history",
    "venue",
    "book",
    "signal",
    "optimizer",
    "gate",
    "run",
    "plugins",
    "sink",
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4))
def test_no_value_in_a_wrong_place_escapes_as_another_error(tmp_path_factory, tables):
    path = tmp_path_factory.getbasetemp() / "values.toml"
    path.write_text("schema = 1\n" + "".join(f"{key} = {value}\n" for key, value in tables.items()))

    with pytest.raises(ConfigErrors) as caught:
        load_strategy_file(path)

    assert all(problem.message for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("20s", 20_000_000_000), ("500ms", 500_000_000), ("1h30m", 5_400_000_000_000), ("1.5s", 1_500_000_000), ("1d", 86_400_000_000_000)],
)  # fmt: skip
def test_a_length_of_time_is_read(text, expected):
    assert duration_ns(text) == expected


@pytest.mark.parametrize(
    "text", ["", "20", "s", "5x", "1m1h", "1s1s", "-1s", "0s", "1 s", "367d", "1s ", "9999999999s"]
)
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(DomainError, match="expected a length of time"):
        duration_ns(text)


@given(st.integers(1, 31_536_000_000))
def test_a_length_of_time_is_written_as_it_is_read(length_ms):
    assert duration_ns(duration_text(length_ms * 1_000_000)) == length_ms * 1_000_000


def test_the_digest_is_that_of_the_bytes(tmp_path):
    path = tmp_path / "strategy.toml"
    path.write_text(START + MARKET + OPTIMIZER)

    assert load_strategy_file(path).digest == hashlib.sha256(path.read_bytes()).hexdigest()
