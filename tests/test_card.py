"""What describes a build: the head that `datasets` reads, Croissant as mlcroissant reads it, the plots."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import datasets
import mlcroissant
import pyarrow.parquet as pq
import pytest
import yaml
from huggingface_hub import DatasetCard

from onrecord import build, card, cli, tables
from onrecord.model import CLOSED_LISTS, CONFIGS, columns

ROOT = Path(__file__).parents[1]
DATASET = ROOT / "dataset"
VISIT = ROOT / "tests/cases/valid/visit"
RESOURCES = Path(datasets.__file__).parent / "utils/resources"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("card") / "dataset"
    own_card = out.parent / "DATACARD.md"
    own_card.write_bytes((ROOT / "DATACARD.md").read_bytes())
    assert build.build([DATASET], out, card_file=own_card).manifest is not None
    return out


@pytest.fixture(scope="module")
def described(fresh: Path) -> mlcroissant.Dataset:
    return mlcroissant.Dataset(jsonld=str(fresh / "croissant.json"))


def value(found: Any, prefix: str) -> Any:
    """A value as mlcroissant gives it, as Parquet has it."""
    if isinstance(found, bytes):
        return found.decode()
    if isinstance(found, list):
        return [value(one, prefix) for one in found]
    if isinstance(found, dict):
        return {name.removeprefix(f"{prefix}/"): value(one, prefix) for name, one in found.items()}
    return found


@pytest.mark.parametrize("config", CONFIGS)
def test_mlcroissant_reads_the_rows_of_parquet(described: mlcroissant.Dataset, fresh: Path, config: str) -> None:
    records = list(described.records(config))
    rows = {
        row["id"]: {"split": file.stem, **row}
        for file in fresh.glob(f"data/{config}/*.parquet")
        for row in pq.read_table(file).to_pylist()
    }
    assert len(records) == len(rows)
    for record in records:
        read = {name.removeprefix(f"{config}/"): value(one, name) for name, one in record.items()}
        assert read == rows[read["id"]]


@pytest.mark.parametrize("name", CLOSED_LISTS)
def test_mlcroissant_reads_the_closed_lists(described: mlcroissant.Dataset, name: str) -> None:
    records = [value(record[f"label-{name}/name"], "") for record in described.records(f"label-{name}")]
    assert records == [label.name for label in CLOSED_LISTS[name]]


def test_croissant_is_valid_and_quotes_the_card(described: mlcroissant.Dataset, fresh: Path) -> None:
    assert not described.metadata.issues.errors
    data = json.loads((fresh / "croissant.json").read_text("utf-8"))
    assert data["conformsTo"][0] == "http://mlcommons.org/croissant/1.1"
    for name in card.RAI:
        quoted = data[f"rai:{name}"]
        text = quoted[0] if isinstance(quoted, list) else quoted
        assert text and text in (ROOT / "DATACARD.md").read_text("utf-8")
        assert "<!--" not in text


def test_a_users_build_has_a_croissant_that_claims_nothing_of_ours(tmp_path: Path) -> None:
    assert build.build([VISIT], tmp_path / "out").manifest is not None
    data = json.loads((tmp_path / "out/croissant.json").read_text("utf-8"))
    assert not [name for name in data if name.startswith("rai:") or name in ("license", "creator")]
    assert "cc-by" not in (tmp_path / "out/README.md").read_text("utf-8")
    read = mlcroissant.Dataset(jsonld=str(tmp_path / "out/croissant.json"))
    assert len(list(read.records("stance"))) == pq.read_table(tmp_path / "out/data/stance").num_rows


def test_the_head_is_of_the_lists_that_datasets_ships() -> None:
    head = DatasetCard.load(ROOT / "DATACARD.md").data.to_dict()
    creators = json.loads((RESOURCES / "creators.json").read_text())
    assert set(head["annotations_creators"]) <= set(creators["annotations"])
    assert set(head["language_creators"]) <= set(creators["language"])
    assert set(head["size_categories"]) <= set(json.loads((RESOURCES / "size_categories.json").read_text()))
    assert set(head["language"]) <= set(json.loads((RESOURCES / "languages.json").read_text()))
    assert set(head["multilinguality"]) <= set(json.loads((RESOURCES / "multilingualities.json").read_text()))


def test_the_card_has_the_headings_of_the_hubs_template() -> None:
    import huggingface_hub

    template = (Path(huggingface_hub.__file__).parent / "templates/datasetcard_template.md").read_text("utf-8")
    asked = {re.sub(r" \[optional\]", "", line) for line in re.findall(r"^#{2,} (.+)$", template, re.MULTILINE)}
    found = set(re.findall(r"^#{2,} (.+)$", (ROOT / "DATACARD.md").read_text("utf-8"), re.MULTILINE))
    assert asked <= found


def test_the_head_lists_every_column() -> None:
    head = yaml.safe_load((ROOT / "DATACARD.md").read_text("utf-8").split("---\n")[1])
    for info in head["dataset_info"]:
        listed = [feature["name"] for feature in info["features"]]
        assert listed == [column.name for column in columns(info["config_name"])]


def test_one_changed_label_makes_the_card_stale_and_card_mends_it(
    fresh: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dataset").mkdir()
    manifest = tables.read_manifest(fresh)
    manifest["counts"]["label"]["stance"]["test"]["stance"]["affirm"] += 1
    manifest["counts"]["label"]["stance"]["test"]["stance"]["deny"] -= 1
    (tmp_path / "dataset/manifest.json").write_text(tables.write_manifest(manifest), "utf-8")
    (tmp_path / "DATACARD.md").write_bytes((ROOT / "DATACARD.md").read_bytes())
    monkeypatch.chdir(tmp_path)
    assert cli.main(["card", "--check"]) == cli.ERRORS
    assert "run `onrecord card`" in capsys.readouterr().out
    assert cli.main(["card"]) == cli.CLEAN
    assert cli.main(["card", "--check"]) == cli.CLEAN


def test_plots_are_as_committed_well_formed_and_linked() -> None:
    made = card.plots(tables.read_manifest(DATASET), tables.read_results(DATASET))
    text = (ROOT / "DATACARD.md").read_text("utf-8")
    for name, svg in made.items():
        assert (DATASET / name).read_text("utf-8") == svg, "run `onrecord card`"
        assert ElementTree.fromstring(svg).find("{http://www.w3.org/2000/svg}title") is not None
        assert f"](dataset/{name})" in text
        assert f"]({name})" in (DATASET / "README.md").read_text("utf-8")


def test_croissant_is_as_committed() -> None:
    text = (ROOT / "DATACARD.md").read_text("utf-8")
    committed = (DATASET / "croissant.json").read_text("utf-8")
    assert committed == card.croissant(tables.read_manifest(DATASET), text), "run `onrecord card`"
