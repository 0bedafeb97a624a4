"""The explorer in a real browser: what it shows, and that text of the data is never markup."""

from __future__ import annotations

import dataclasses
import re
import resource
import shutil
import subprocess
from pathlib import Path

import pytest

from onrecord import check, cli, explore, formats
from onrecord.model import Article, Story

ROOT = Path(__file__).parents[1]
VISIT = ROOT / "tests/cases/valid/visit"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
browser = pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--virtual-time-budget=4000", "--dump-dom",
)  # fmt: skip


def visit() -> tuple[Story, list[Article]]:
    units, _ = formats.find([VISIT])
    admitted = next(check.admit(found for unit in units for found in formats.read(unit)))
    return admitted.story, admitted.articles


def rendered(page: Path, place: str, profile: Path) -> str:
    """The document as the browser has it after its script ran."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", f"{page.as_uri()}{place}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, preexec_fn=_unlimited)
    return done.stdout


def _unlimited() -> None:
    """A browser reserves more addresses than the guard of conftest.py allows."""
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main_of(document: str) -> str:
    return document.split("<main", 1)[1].split("</main>", 1)[0]


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("page") / "explorer.html"
    assert cli.main(["explore", str(VISIT), "--out", str(file)]) == 0
    return file


@pytest.mark.security("hostile input")
def test_the_page_is_the_same_bytes_each_time_and_loads_nothing(page: Path, tmp_path: Path) -> None:
    assert cli.main(["explore", str(VISIT), "--out", str(tmp_path / "again.html")]) == 0
    text = page.read_text("utf-8")
    assert (tmp_path / "again.html").read_text("utf-8") == text
    outside = text.replace("http://www.w3.org", "")
    assert not re.findall(r"""(?:src|href)=["']?https?:""", outside)
    assert "default-src 'none'" in text


@browser
def test_the_target_view_says_who_took_which_stance(page: Path, tmp_path: Path) -> None:
    shown = main_of(rendered(page, "#targets", tmp_path))
    first = shown.split("<section", 2)[1]
    assert "Harbour master Joan Ritter visited" in first
    columns = re.findall(r'<h4 class="(\w+)">\w+<span>(\d+)', first)
    assert columns == [("affirm", "1"), ("deny", "3"), ("doubt", "0"), ("decline", "1"), ("relay", "1")]
    assert "The Evening Star › two clerks" in first
    assert re.search(r"<h5>gazette<span>2026-05-06</span></h5>", first)
    assert re.search(r'aria-label="[^"]+\([^"]+, deny, gazette: show in the article\)"', first)


@browser
def test_the_article_view_marks_statements_and_counts_code_points(tmp_path: Path) -> None:
    story, (article,) = visit()
    moved = dataclasses.replace(article, text="😀" + article.text[1:])  # an astral character before every span
    file = tmp_path / "explorer.html"
    file.write_text(explore.page([(story, [moved], "test")]), "utf-8")
    shown = main_of(rendered(file, "#article/visit/gazette/s6", tmp_path / "profile"))
    assert re.search(r'<mark class="decline on"[^>]*>it does not discuss its visitors</mark>', shown)
    assert "Lorne Shipping" in shown and "pass-a decline" in shown


@pytest.mark.security("hostile input")
@browser
def test_markup_in_every_text_of_the_data_stays_text(tmp_path: Path) -> None:
    story, (article,) = visit()
    evil = "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    target = dataclasses.replace(story.targets[0], text=evil)
    holders = {name: dataclasses.replace(holder, name=evil, role=evil) for name, holder in article.holders.items()}
    bad = dataclasses.replace(article, text=evil + article.text, holders=holders, publisher=evil, published=evil)
    file = tmp_path / "explorer.html"
    file.write_text(
        explore.page(
            [(dataclasses.replace(story, title=evil, targets=(target, *story.targets[1:])), [bad], evil)], evil
        ),
        "utf-8",
    )
    for number, place in enumerate(("#targets", "#article", "#statements", f"#article/{evil}/x")):
        document = rendered(file, place.replace('"', "%22").replace("<", "%3C"), tmp_path / str(number))
        assert "<title>owned" not in document
        assert not re.search(r"<img[^>]*onerror", main_of(document))


def test_the_page_of_the_dataset_is_small(tmp_path: Path) -> None:
    assert cli.main(["explore", str(ROOT / "dataset"), "--out", str(tmp_path / "explorer.html")]) == 0
    assert (tmp_path / "explorer.html").stat().st_size < 5_000_000
