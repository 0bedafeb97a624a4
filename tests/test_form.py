"""Schemas: every field and label is described, examples are true, and two validators say the same."""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onrecord import form
from onrecord.model import CLOSED_LISTS, SCHEMAS, resolve

CASES = Path(__file__).parent / "cases"


def described(kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every schema of a document that people write: its fields, their items and the definitions, by address."""

    def below(at: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        yield at, schema
        for name, part in {**schema.get("properties", {}), **schema.get("$defs", {})}.items():
            yield from below(f"{at}/{name}", part)
        if isinstance(items := schema.get("items"), dict) and "$ref" not in items:
            yield from below(f"{at}/items", items)

    yield from below(kind, SCHEMAS[kind])


FIELDS = [pytest.param(kind, schema, id=at) for kind in form.KINDS for at, schema in described(kind)]


def merged(kind: str, schema: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """A field as it is described, its own words before those of what it refers to, and what judges its values."""
    meaning, home = resolve(schema, kind)
    return {**meaning, **schema}, {"$ref": f"{home}.schema.json{pointer(SCHEMAS[home], meaning)}"}


def pointer(document: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    def search(value: object, at: str) -> Iterator[str]:
        if value is part:
            yield at
        elif isinstance(value, dict):
            for key, inner in value.items():
                yield from search(inner, f"{at}/{key.replace('~', '~0').replace('/', '~1')}")

    return next(search(document, "#"))


@pytest.mark.parametrize("kind, schema", FIELDS)
def test_every_field_is_described_with_examples_good_and_bad(kind: str, schema: Mapping[str, Any]) -> None:
    words, _ = merged(kind, schema)
    assert [key for key in ("title", "description", "examples", "x-bad-examples") if not words.get(key)] == []


@pytest.mark.parametrize("kind, schema", FIELDS)
def test_examples_are_valid_and_bad_examples_are_not(kind: str, schema: Mapping[str, Any]) -> None:
    words, judged = merged(kind, schema)
    judge = form._EXPLAIN[kind].evolve(schema=judged)
    assert [value for value in words["examples"] if not judge.is_valid(value)] == []
    assert [value for value in words["x-bad-examples"] if judge.is_valid(value)] == []


@pytest.mark.parametrize("name", CLOSED_LISTS)
def test_every_label_is_described_with_examples_good_and_bad(name: str) -> None:
    for label in CLOSED_LISTS[name]:
        assert all((label.title, label.description, label.examples, label.bad_examples)), label.name


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_follow_their_own_schema(name: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])


# -- two validators --------------------------------------------------------------------------------------------

ODD = [
    None, True, 0, 1, -1, 1.5, 10**9 + 1, 2**70, "", "a", "a\n", "\na", "A", "a/b", "é", "٣", "\u2028", "x" * 130,

    [], [[]], [0, 1], [[3, 9]], [[True, 9]], [[0, 23, "headline"]], {}, {"a": 1}, {"a\n": {"name": "B"}},
    "affirm", "Affirm", "t-met", "2026-02-30", "2026-03-04\n", "٢٠٢٦-03-04", "https://a.b/\u00a0c", "http://a b",
]  # fmt: skip


def documents() -> dict[str, list[Any]]:
    """Whole documents of each kind: a corpus's, and whatever the schemas give as examples."""
    found: dict[str, list[Any]] = {kind: list(SCHEMAS[kind]["examples"]) for kind in form.KINDS}
    for file in (CASES / "valid").rglob("*.json"):
        data = json.loads(file.read_text("utf-8"))
        if isinstance(data, dict) and "statements" in data:
            found["article"].append({"text": "x", **data})
        elif isinstance(data, dict) and "targets" in data:
            found["story"].append(data)
    return found


DOCUMENTS = documents()


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Any]:
    """A document of some kind in which a few things were changed, deleted or added."""
    kind = draw(st.sampled_from(form.KINDS))
    document = copy.deepcopy(draw(st.sampled_from(DOCUMENTS[kind])))
    for _ in range(draw(st.integers(0, 3))):
        here = document
        while isinstance(here, dict | list) and here:
            key = draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
            if not isinstance(here[key], dict | list) or draw(st.booleans()):
                change = draw(st.sampled_from(("set", "delete", "add")))
                if change == "delete":
                    del here[key]
                elif change == "add" and isinstance(here, dict):
                    name = draw(st.sampled_from(("note", "quote", "content", "reference", "a\n", "votes")))
                    here[name] = copy.deepcopy(draw(st.sampled_from(ODD)))
                else:
                    here[key] = copy.deepcopy(draw(st.sampled_from(ODD)))
                break
            here = here[key]
    return kind, document


@pytest.mark.skipif(form.jsonschema_rs is None, reason="jsonschema_rs has no wheel for this platform")
@settings(max_examples=1500, deadline=None)
@given(mutated())
def test_both_validators_give_the_same_verdict(case: tuple[str, Any]) -> None:
    kind, document = case
    fast, slow = form.verdict(kind, fast=True)(document), form.verdict(kind, fast=False)(document)
    assert fast == slow
    found = form.judge(kind, document, "x.json") if isinstance(document, dict) else []
    assert isinstance(document, dict) <= (bool(found) != fast)
    assert all(str(finding).startswith("x.json: $") for finding in found)


@pytest.mark.parametrize("case", ["unknown-label", "bad-value", "wrong-type", "one-place"])
def test_without_the_fast_validator_findings_are_the_same(case: str, tmp_path: Path) -> None:
    shutil.copytree(CASES / "invalid" / case, tmp_path, dirs_exist_ok=True)
    program = (
        "import sys; sys.modules['jsonschema_rs'] = None; from onrecord import cli; sys.exit(cli.main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "check", "input"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[:-1] == (tmp_path / "expected.txt").read_text("utf-8").splitlines()


def test_a_finding_suggests_what_was_meant() -> None:
    statement = {"id": "s1", "content": [[0, 1]], "stances": {"t": {"label": "afirm"}}, "holdr": "a"}
    article = {"id": "a", "story": "a", "text": "x", "statements": [statement]}
    found = [finding.what for finding in form.judge("article", article, "x.json")]
    assert sorted(found) == [
        '"afirm" is no stance, did you mean `affirm`?',
        "`holdr` is no field, did you mean `holder`?",
    ]


def test_all_missing_fields_are_named_once() -> None:
    (found,) = form.judge("story", {"title": "A ferry's rudder"}, "x.json")
    assert found.what == "`id` and `targets` are missing"
