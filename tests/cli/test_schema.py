from __future__ import annotations

import json


def test_the_overview_names_every_table(invoke):
    shown = invoke("schema")

    for table in ("[strategy]", "[[markets]]", "[feed]", "[[optimizer]]", "[[risk]]", "[venue]", "[gate]", "[journal]"):
        assert f"  {table} " in shown.stdout


def test_a_table_is_shown_with_defaults_bounds_and_units(invoke):
    shown = invoke("schema", "gate")

    lines = [" ".join(line.split()) for line in shown.stdout.splitlines()]
    place = lines.index("max_order_size (unset) decimal number as text, base units, above 0")
    assert lines[place + 1] == "Largest order."
    assert "price_collar_bps = 500 number, bps, above 0" in lines


def test_a_component_is_shown_as_plugins_show_does(invoke):
    assert invoke("schema", "fixed-spread").stdout == invoke("plugins", "show", "fixed-spread").stdout


def test_an_editor_gets_one_json_schema_of_everything_installed(invoke):
    schema = json.loads(invoke("schema", "--json").stdout)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["required"]) == {"schema", "strategy", "markets"}
    assert "fixed-spread" in schema["$defs"]["optimizer"]["properties"]["use"]["enum"]


def test_one_table_has_a_schema_of_its_own(invoke):
    assert "max_order_size" in json.loads(invoke("schema", "gate", "--json").stdout)["properties"]
    assert "spread_bps" in json.loads(invoke("schema", "fixed-spread", "--json").stdout)["properties"]


def test_a_typo_is_answered_with_the_nearest_name(invoke):
    ended = invoke("schema", "fixed-sprad")

    assert ended.status == 2
    assert ended.stderr == (
        "error[usage]: there is no table and no component 'fixed-sprad'\n  fix    did you mean 'fixed-spread'?\n"
    )
