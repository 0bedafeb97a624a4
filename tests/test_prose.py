"""How news reads, in figures: each measure is what its title says, and the bounds asked are PolNeAR's quartiles."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from onrecord import prose
from onrecord.model import Article, Span, Statement, Zone

ROOT = Path(__file__).parents[1]
CORPORA = os.environ.get("ONRECORD_CORPORA")
TEXT = (
    "Ferry sailed unfit, crew say\n"
    "“She could not be steered,” said Nora Hale. The operator did not answer.\n"
    "Hale told Radio Ryde that her crew knew.\n"
    "Win a cruise with us\n"
)


def spans(words: str) -> tuple[Span, ...]:
    at = TEXT.index(words)
    return (Span(at, at + len(words)),)


ALMA = Article(
    "wire",
    "alma",
    TEXT,
    (
        Statement("s1", spans("She could not be steered"), cue=spans("said"), holder="hale"),
        Statement("s2", spans("The operator"), cue=spans("did not answer"), holder="operator"),
        Statement("s3", spans("her crew knew"), cue=spans("told"), holder="hale"),
        Statement("s4", spans("crew knew"), holder="crew", chain=("hale",)),
        Statement("s5", spans("Ferry sailed unfit"), holder="author"),
    ),
    zones=(Zone(TEXT.index("Win"), TEXT.index("Win") + 20, "promo"),),
)


def test_sums_leave_out_teasers_and_count_only_what_the_article_attributes_itself() -> None:
    counted = prose.sums(ALMA)
    position = sum(100 * TEXT.index(words) // len(TEXT) for words in ("She", "The operator", "her crew"))
    assert counted == {
        "words": 5 + 8 + 5 + 8,
        "sentences": 4,
        "paragraphs": 3,
        "quoted words": 5,
        "attributed": 3,
        "cues": 3,
        "say": 2,
        "position": position,
        "long sentences": 0,
    }


def test_measures_are_ratios_of_sums() -> None:
    counted = prose.sums(ALMA)
    assert prose.figure("prose-statements", counted) == round(1000 * 3 / 26, 1)
    assert prose.figure("prose-say", counted) == 66.7
    assert prose.figure("prose-quoted", counted) == round(100 * 5 / 26, 1)
    assert prose.figure("prose-say", {"cues": 0}) is None


def script() -> Any:
    spec = importlib.util.spec_from_file_location("polnear_prose", ROOT / "scripts/corpus/polnear_prose.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not CORPORA, reason="ONRECORD_CORPORA names no folder of real articles")
def test_the_bounds_asked_of_invented_stories_are_quartiles_of_real_ones() -> None:
    asked = json.loads((ROOT / "dataset/gates.json").read_text("utf-8"))
    found = script().quartiles(Path(CORPORA or ""))
    assert {name: bounds for name, bounds in asked.items() if name.startswith("prose-")} == {
        name: {"least": round(low), "most": round(high)} for name, (low, _, high) in found.items()
    }
