"""The committed dataset builds to its manifest, loads everywhere alike, and needs every part of the scheme."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pytest
from datasets import ClassLabel, load_dataset
from datasets.exceptions import DatasetGenerationError

import onrecord
from onrecord import build, card, cli, reference, tables
from onrecord.model import CONFIGS, LABELS, SPLITS, STANCES, TAG_STANCE

ROOT = Path(__file__).parents[1]
DATASET = ROOT / "dataset"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh build of the dataset beside the repository, with its card as README.md."""
    out = tmp_path_factory.mktemp("fresh") / "dataset"
    own_card = out.parent / "DATACARD.md"
    own_card.write_bytes((ROOT / "DATACARD.md").read_bytes())
    report = build.build([DATASET], out, card_file=own_card)
    assert report.manifest is not None, "\n".join(map(str, report.findings))
    return out


@pytest.fixture(scope="module")
def pairs(fresh: Path) -> pd.DataFrame:
    return pd.read_parquet(fresh / "data/pairs")


def manifest() -> dict[str, Any]:
    return tables.read_manifest(DATASET)


def test_a_fresh_build_reproduces_the_committed_manifest(fresh: Path) -> None:
    made, committed = tables.read_manifest(fresh), manifest()
    for key in ("schema", "counts", "agreement", "configs", "inputs", "left_out", "warnings"):
        assert made[key] == committed[key], key
    if committed["pyarrow"] == pa.__version__:
        assert made == committed


def test_the_fresh_build_is_as_its_manifest_says(fresh: Path) -> None:
    assert tables.verify(fresh) == []


def test_card_and_reference_are_fresh() -> None:
    text = (ROOT / "DATACARD.md").read_text("utf-8")
    assert text == card.render(text, manifest(), tables.read_results(DATASET)), "run `onrecord card`"
    assert (DATASET / "README.md").read_text("utf-8") == card.published(text), "run `onrecord card`"
    assert (ROOT / "schema/README.md").read_text("utf-8") == reference.render(cli.RULES), "run `onrecord reference`"


@pytest.mark.parametrize("config", CONFIGS)
def test_datasets_pandas_and_duckdb_agree(fresh: Path, config: str, tmp_path: Path) -> None:
    loaded = load_dataset(str(fresh), config, cache_dir=str(tmp_path))
    assert set(loaded) == ({"test"} if config == "contrast" else set(SPLITS))
    for split in loaded:
        file = fresh / f"data/{config}/{split}.parquet"
        frame = pd.read_parquet(file)
        queried = duckdb.sql(f"select * from '{file}'").df()
        assert list(frame["id"]) == list(queried["id"]) == loaded[split]["id"]
        for column, feature in loaded[split].features.items():
            if isinstance(feature, ClassLabel):
                words = [None if value is None else feature.int2str(value) for value in loaded[split][column]]
                assert words == [value if isinstance(value, str) else None for value in frame[column]]
                assert words == [value if isinstance(value, str) else None for value in queried[column]]


def test_onrecord_load_is_load_dataset(fresh: Path, tmp_path: Path) -> None:
    ours = onrecord.load("stance", "test", folder=fresh)
    theirs = load_dataset(str(fresh), split="test", cache_dir=str(tmp_path))
    assert ours.features == theirs.features == onrecord.features("stance")
    assert ours.to_list() == theirs.to_list()
    with pytest.raises(KeyError):
        onrecord.load("sentiment", folder=fresh)
    with pytest.raises(FileNotFoundError, match="onrecord build"):
        onrecord.load("stance", folder=tmp_path)


def test_a_label_that_the_card_does_not_know_fails_to_load(fresh: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text((fresh / "README.md").read_text().replace("'1': deny", "'1': reject"))
    for file in fresh.glob("data/stance/*"):
        (tmp_path / file.relative_to(fresh)).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file.relative_to(fresh)).write_bytes(file.read_bytes())
    with pytest.raises(DatasetGenerationError) as refused:
        load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    assert "deny" in str(refused.value.__cause__)


def test_every_part_of_the_scheme_is_needed(pairs: pd.DataFrame, fresh: Path) -> None:
    assert set(pairs.stance) == set(STANCES)
    assert set(pairs.source_type) == set(LABELS["source_type"])
    assert set(pairs.quote_form) == set(LABELS["quote_form"])
    assert set(pairs.disclosure) == set(LABELS["disclosure"])
    assert set(pairs.tags.explode().dropna()) >= set(TAG_STANCE)
    assert set(pairs.depth) >= {0, 1, 2, 3}
    zones = pd.read_parquet(fresh / "data/articles")["zones"].explode()
    assert {zone["zone"] for zone in zones} >= {"headline", "lede", "caption", "promo", "boilerplate"}


def test_every_judgement_has_two_blind_votes(pairs: pd.DataFrame, fresh: Path) -> None:
    assert pairs.agreement.notna().all()
    votes = pd.read_parquet(fresh / "data/votes")
    stances = votes[votes.field == "stance"].groupby("subject").size()
    assert set(stances) == {2} and len(stances) == len(pairs)
    for name in ("source_type", "disclosure"):
        assert set(votes[votes.field == name].groupby("subject").size()) == {2}
    assert set(votes.annotator_kind) == {"model"}


def test_every_story_has_targets_that_cannot_both_be_true() -> None:
    for file in sorted((DATASET / "stories").glob("*/story.json")):
        targets = json.loads(file.read_text())["targets"]
        assert any("incompatible_with" in target for target in targets), file


def test_a_story_stands_in_one_split(fresh: Path) -> None:
    stories = [set(pd.read_parquet(fresh / f"data/articles/{split}.parquet")["story"]) for split in SPLITS]
    assert sum(map(len, stories)) == len(set.union(*stories))


PRIVATE = {  # what would be somebody's, and is not to be made up either
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.[a-z]{2,}", re.IGNORECASE),
    "a web address": re.compile(r"https?://|www\.", re.IGNORECASE),
    "a telephone number": re.compile(r"(?<![\d.,])(?:\+\d{1,3}|\(?0\d{2,5}\)?)[ /-]?\d{3}[ -]?\d{2,}"),
}


def open_texts() -> list[tuple[str, str]]:
    files = [file for part in ("stories", "contrast", "passes") for file in sorted((DATASET / part).rglob("*"))]
    return [(file.relative_to(DATASET).as_posix(), file.read_text("utf-8")) for file in files if file.is_file()]


@pytest.mark.security("guards")
def test_the_open_corpus_holds_no_address_and_no_number_of_a_person() -> None:
    for name, text in open_texts():
        for what, pattern in PRIVATE.items():
            assert not (found := pattern.search(text)), f"{name}: {what}: {found and found[0]}"


@pytest.mark.security("guards")
def test_the_open_corpus_names_no_head_of_state_and_no_large_body() -> None:
    listed = (Path(__file__).parent / "real_names.txt").read_text("utf-8").splitlines()
    names = [name for name in listed if name and not name.startswith("#")]
    pattern = re.compile(rf"\b(?:{'|'.join(map(re.escape, names))})\b", re.IGNORECASE)
    for name, text in open_texts():
        assert not (found := pattern.search(text)), f"{name}: {found and found[0]}"
