"""The reference names every field, label, column and rule there is."""

from __future__ import annotations

from itertools import pairwise

import pytest

from onrecord import cli, form, reference
from onrecord.model import CLOSED_LISTS, CONFIGS, SCHEMAS, columns

REFERENCE = reference.render(cli.RULES)


@pytest.mark.parametrize("kind", form.KINDS)
def test_every_field_is_there(kind: str) -> None:
    for schema in (SCHEMAS[kind], *SCHEMAS[kind]["$defs"].values()):
        for field in schema.get("properties", ()):
            assert f"| `{field}` |" in REFERENCE or f"| **`{field}`** |" in REFERENCE


def test_every_label_and_column_is_there() -> None:
    names = [label.name for labels in CLOSED_LISTS.values() for label in labels]
    names += [column.name for config in CONFIGS for column in columns(config)]
    assert [name for name in names if f"| `{name}` |" not in REFERENCE] == []


def test_a_rule_added_in_one_place_appears_in_the_reference_and_the_checks() -> None:
    for rule in cli.RULES:
        assert f"| {rule.level} | `{rule.id}` | {rule.severity} |" in REFERENCE


def test_every_rule_says_what_holds_and_what_to_do() -> None:
    for rule in cli.RULES:
        assert rule.promise.endswith("."), rule.id
        assert rule.remedy, rule.id
        assert not rule.remedy.endswith("."), rule.id
        assert rule.remedy[0].islower() or not rule.remedy[0].isalpha(), rule.id


def test_every_table_row_has_its_columns() -> None:
    lines = REFERENCE.splitlines()
    header = 0
    for before, line in pairwise(lines):
        if line.startswith("|"):
            if not before.startswith("|"):
                header = line.count("|")
            assert line.replace("\\|", "").count("|") == header, line
