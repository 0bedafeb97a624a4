"""How the open corpus was made can be made again: the briefs are drawn by their seed, and votes give the labels."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path
from typing import Any

from onrecord.model import LABELS, NEVER

ROOT = Path(__file__).parents[1]
BRIEFS = ROOT / "dataset/briefs"


def script(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"scripts/corpus/{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name: str) -> Any:
    return json.loads((BRIEFS / name).read_text("utf-8"))


def test_the_briefs_are_those_that_the_seed_draws() -> None:
    assert script("plan").plan(read("premises.json"), read("names.json")) == read("plan.json")


def test_stance_and_source_type_are_crossed_as_far_as_the_scheme_allows() -> None:
    dealt = Counter(cell.split(" (")[0] for brief in read("plan.json").values() for cell in brief["cells"])
    for stance in LABELS["stance"][:-1]:
        counts = [dealt[f"{kind}: {stance}"] for kind in LABELS["source_type"] if stance not in NEVER[kind]]
        assert max(counts) - min(counts) <= 1
        assert all(dealt[f"{kind}: {stance}"] == 0 for kind in LABELS["source_type"] if stance in NEVER[kind])


ARTICLE = {"holders": {"hale": {"name": "Nora Hale"}}, "statements": [{"id": "s1"}, {"id": "s2"}]}
HALE = {"hale": {"source_type": "spokesperson", "disclosure": "named"}}
DENY = {"label": "deny", "certainty": "certain", "tags": ["negation", "implied"]}


def said(**stances: dict[str, Any]) -> dict[str, Any]:
    """What a pass said: each statement towards the target `t`."""
    return {"holders": HALE, "stances": {name: {"t": pair} for name, pair in stances.items()}}


def test_what_passes_agree_on_stands_and_free_tags_only_where_all_gave_them() -> None:
    passes = {"a": said(s1=DENY), "b": said(s1={**DENY, "tags": ["negation"]})}
    made, left = script("merge").merge(json.loads(json.dumps(ARTICLE)), passes, {}, ["t"])
    assert left == {}
    assert made["statements"][0]["stances"]["t"] == {
        "label": "deny",
        "certainty": "certain",
        "tags": ["negation"],
        "votes": {"label": {"a": "deny", "b": "deny"}, "certainty": {"a": "certain", "b": "certain"}},
    }
    assert made["statements"][1]["stances"] == {}
    assert made["holders"]["hale"]["source_type"] == "spokesperson"
    assert made["annotators"] == ["a", "b"] and made["judged"] == ["t"]


def test_what_passes_differ_on_waits_for_a_ruling_and_keeps_both_votes() -> None:
    doubt = {"label": "doubt", "tags": ["partial"], "why": "a part"}
    passes = {"a": said(s1=DENY), "b": said(s1=doubt)}
    _, left = script("merge").merge(json.loads(json.dumps(ARTICLE)), passes, {}, ["t"])
    assert left == {"pairs": {"s1.t": {"a": DENY, "b": doubt}}}
    ruling = {"pairs": {"s1.t": {"label": "unrelated", "why": "rule 7"}}}
    made, left = script("merge").merge(json.loads(json.dumps(ARTICLE)), passes, ruling, ["t"])
    assert left == {}
    assert made["statements"][0]["stances"]["t"] == {
        "label": "unrelated",
        "why": "rule 7",
        "votes": {"label": {"a": "deny", "b": "doubt"}, "certainty": {"a": "certain"}},
    }
