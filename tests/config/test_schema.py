from __future__ import annotations

from decimal import Decimal
from enum import Enum
from pathlib import Path

import attrs
import jsonschema
import pytest
import tomli

from mmframe.config.schema import json_schema
from mmframe.plugin import BookSpec, FeedSpec, LLMProviderSpec, OptimizerSpec, Secret, Use, VenueSpec, option
from mmframe.plugin.specs import ComponentSpec, Mode
from mmframe.registry import Registry

TESTS = Path(__file__).parents[1]
CORPUS = TESTS / "corpus" / "broken"
VALID = sorted((TESTS / "corpus" / "valid").glob("*/strategy.toml"))
EXAMPLES = sorted((TESTS.parent / "examples").glob("*/strategy.toml"))

NEEDS_MORE_THAN_ONE_TABLE = {
    "adviser-tells-too-much", "adviser-trigger-without-signal", "adviser-twice", "adviser-without-price",
    "build-crashed", "build-refused", "faults-contradict", "feed-missing", "grid-contradicts-feed", "grid-half",
    "grid-missing", "history-missing", "instrument-unknown", "ladder-beyond-the-collar", "limit-below-ladder",
    "limit-below-lot", "limit-below-order", "limit-below-target", "limit-of-open-orders-below-ladder",
    "live-on-simulated-venue",
    "live-on-virtual-feed", "live-without-limits", "market-twice", "minimum-off-the-grid", "optimizer-missing",
    "options-contradict", "order-size-below-minimum", "order-size-off-the-grid", "port-not-satisfied",
    "position-factor-of-no-limit",
    "requote-after-expiry", "secret-file-missing", "secret-variable-unset", "signal-missing", "signal-of-a-built-in",
    "signal-twice", "target-off-the-grid", "venue-for-another-mode", "venue-missing", "volatility-in-percent",
}  # fmt: skip
"""Cases that only `mmframe check` can find: they need another table, a venue's list, the mode or the machine."""

NEEDS_THE_TEXTS_MEANING = {
    "disable-core", "duration-invalid", "instrument-malformed", "integer-beyond-64-bits", "local-missing",
    "local-no-module", "local-twice", "money-absurd", "name-empty",
    "name-invalid", "plugin-disabled", "signal-name-invalid", "speed-invalid",
    "infinite", "not-a-number",
}  # fmt: skip
"""Cases whose text or number has the right type and the wrong content, or that lie in a plugin."""


class Plugin:
    def __init__(self, name: str, *specs: ComponentSpec) -> None:
        self.name = name
        self.specs = specs

    def use(self, spec: ComponentSpec) -> str:
        return f"{self.name}/{spec.name}"


@pytest.fixture(scope="module")
def schema():
    registry = Registry(local=[TESTS / "corpus" / "lab.py"])
    return json_schema([registry.load("core"), registry.load("lab")])


def errors(schema, document) -> list[str]:
    validator = jsonschema.Draft202012Validator(schema)
    return [error.message for error in validator.iter_errors(document)]


def test_the_schema_is_one_of_its_dialect(schema):
    jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_is_valid(path):
    document = tomli.loads(path.read_text(encoding="utf-8"))
    local = [path.parent / name for name in document.get("plugins", {}).get("local", [])]
    registry = Registry(local=local)

    found = errors(json_schema(registry.load_all()[0]), document)

    # An example may use a plugin that this environment does not have.
    assert [error for error in found if "is not one of" not in error or "/" not in error] == []


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.parent.name)
def test_every_right_file_of_the_corpus_is_valid(schema, path):
    document = tomli.loads(path.read_text(encoding="utf-8"))
    # Of a plugin that is not there no options are known.
    document.get("venue", {}).pop("live", None)

    assert errors(schema, document) == []


def parsed(name: str):
    try:
        return tomli.loads((CORPUS / name / "strategy.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


BROKEN = sorted(name for name in (path.name for path in CORPUS.iterdir()) if parsed(name) is not None)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_invalid_where_one_table_shows_it(schema, name):
    is_beyond = name in NEEDS_MORE_THAN_ONE_TABLE | NEEDS_THE_TEXTS_MEANING

    assert bool(errors(schema, parsed(name))) is not is_beyond


class Queue(Enum):
    FIRST = "first"


@attrs.frozen
class Nested:
    low: float = option(help="Low.", default=1.0, above=0.0)


@attrs.frozen
class Options:
    size: Decimal = option(help="Size.", unit="base units", above=0.0, example="0.1")
    key: Secret | None = option(help="Key.", default=None)
    provider: Use | None = option(help="Provider.", default=None)
    queue: Queue = option(help="Queue.", default=Queue.FIRST)
    window: tuple[int, int] = option(help="Window.", default=(1, 2))
    weights: tuple[float, ...] = option(help="Weights.", default=())
    fees: dict[str, Decimal] = option(help="Fees.", factory=lambda: {"BTC": Decimal("0.1")})
    nested: Nested = option(help="Nested.", factory=Nested)
    file: Path | None = option(help="File.", default=None)
    is_on: bool = option(help="On.", default=False)


def strategy(**tables):
    market = {"instrument": "A/B", "order_size": 1}
    return {"schema": 1, "strategy": {"name": "x"}, "markets": [market], **tables}


@pytest.fixture(scope="module")
def lab():
    modes = frozenset(Mode)
    return json_schema(
        [
            Plugin(
                "lab",
                FeedSpec(name="spot", summary="Spot.", options=Options, build=print),
                OptimizerSpec(name="plain", summary="Plain.", build=print),
                VenueSpec(name="sim", summary="Sim.", build=print, modes=modes),
                LLMProviderSpec(name="chat", summary="Chat.", build=print),
                BookSpec(name="deep", summary="Deep.", build=print, description="Of many levels."),
            )
        ]
    )


@pytest.mark.parametrize(
    "options",
    [
        {"size": "0.1"},
        {"size": 3, "stale_after_ms": 5},
        {"size": 1, "key": {"env": "A"}, "provider": {"use": "lab/chat", "model": "m"}, "queue": "first"},
        {"size": 1, "window": [1, 2], "weights": [0.5], "fees": {"X": "1"}, "nested": {"low": 2}, "is_on": True},
    ],
)
def test_right_options_are_valid(lab, options):
    assert errors(lab, strategy(feed={"use": "lab/spot", **options})) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"size": 0.1},
        {"size": 0},
        {"size": "x"},
        {"size": 1, "sise": 1},
        {"size": 1, "key": "secret"},
        {"size": 1, "provider": {}},
        {"size": 1, "queue": "last"},
        {"size": 1, "window": [1]},
        {"size": 1, "nested": {"low": 0}},
        {"size": 1, "stale_after_ms": -1},
    ],
)
def test_wrong_options_are_invalid(lab, options):
    assert errors(lab, strategy(feed={"use": "lab/spot", **options})) != []


def test_a_market_may_have_tables_of_its_own(lab):
    market = {"instrument": "A/B", "order_size": 1}

    def with_market(**tables):
        return strategy() | {"markets": [{**market, **tables}]}

    assert errors(lab, with_market(optimizer=[{"use": "lab/plain"}], gate={"max_position": 1}, book={"x": 1})) == []
    assert errors(lab, with_market(gate={"max_orders_per_second": 3})) != []
    assert errors(lab, with_market(optimizer=[{"use": "lab/plane"}])) != []
    assert errors(lab, with_market(book={"use": "lab/deep", "x": 1})) != []


def test_a_venue_is_one_table_or_one_a_mode(lab):
    sim = {"use": "lab/sim"}

    assert errors(lab, strategy(venue=sim)) == []
    assert errors(lab, strategy(venue={"paper": sim, "live": sim})) == []
    assert errors(lab, strategy(venue={"papper": sim})) != []


def test_an_option_says_what_a_person_wants_to_know(lab):
    size = lab["$defs"]["feed.lab.spot"]["properties"]["size"]

    assert size["description"] == "Size. Unit: base units."
    assert size["examples"] == ["0.1"]
    assert lab["$defs"]["feed.lab.spot"]["properties"]["fees"]["default"] == {"BTC": "0.1"}
    assert lab["$defs"]["book.lab.deep"]["description"] == "Deep.\n\nOf many levels."
    assert lab["$defs"]["feed.lab.spot"]["properties"]["nested"]["default"] == {"low": 1.0}
