"""Near-duplicates between stories: what is one, and that it is found however contents were dealt out."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onrecord import leaks
from onrecord.leaks import Content, Grams, NearDuplicate

SAID = "the Alma had left the harbour in good order and in fair weather"
Said = tuple[str, str, str]  # story, split, text


def near_duplicates(*shards: list[Said]) -> list[NearDuplicate]:
    """What is found in contents that so many shards held; a content's id is its story, and its number over all shards."""
    ids = iter(range(sum(map(len, shards))))
    with TemporaryDirectory() as folder:
        for number, shard in enumerate(shards):
            made = Grams()
            for story, place, text in shard:
                made.add(Content(f"{story}.wire.s{next(ids)}", f"{story}/wire.json", story, place), text)
            if made:
                made.write(Path(folder) / f"{number}.parquet")
        return leaks.near_duplicates(sorted(Path(folder).glob("*")))


def test_a_copy_in_another_story_is_found_whatever_its_case_and_quotes() -> None:
    (found,) = near_duplicates([("alma", "train", SAID), ("brig", "test", f"“{SAID.upper()},” in all")])
    assert (found.one.id, found.other.id) == ("alma.wire.s0", "brig.wire.s1")
    assert found.share == 1.0
    assert found.leaks


def test_a_copy_in_the_same_story_or_split_leaks_nothing() -> None:
    assert near_duplicates([("alma", "train", SAID), ("alma", "train", SAID)]) == []
    (found,) = near_duplicates([("alma", "train", SAID), ("brig", "train", SAID)])
    assert not found.leaks
    assert list(leaks.findings([found], frozen=True)) == []


def test_short_contents_and_other_words_are_no_copies() -> None:
    assert near_duplicates([("alma", "train", "in good order"), ("brig", "test", "in good order")]) == []
    other = "the brig had stayed in port for a week because of high seas and wind"
    assert near_duplicates([("alma", "train", SAID), ("brig", "test", other)]) == []


def test_a_content_copied_hundreds_of_times_is_found_all_the_same() -> None:
    many = [(f"s{i:03}", "test" if i == 150 else "train", SAID) for i in range(300)]
    found = near_duplicates(many)
    assert any(copy.leaks for copy in found)
    assert len(found) < 1000


def contents(count: int) -> list[Said]:
    return [(f"s{i % 7}", "train" if i % 7 < 3 else "test", SAID + " again" * (i % 3)) for i in range(count)]


def test_copies_do_not_depend_on_how_contents_were_sharded() -> None:
    whole = contents(120)
    assert near_duplicates(whole[:50], [], whole[50:51], whole[51:]) == near_duplicates(whole) != []


def test_copies_do_not_depend_on_how_many_files_they_are_dealt_out_to(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = contents(120)
    found = near_duplicates(whole)
    monkeypatch.setattr(leaks, "ROOM", 300)
    assert near_duplicates(whole) == found


def test_nothing_is_left_beside_what_was_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Grams()
    for story in ("alma", "brig"):
        made.add(Content(f"{story}.wire.s1", "wire.json", story, "train"), SAID)
    made.write(tmp_path / "0.parquet")
    seen = []

    def failing(file: Path) -> NoReturn:
        seen.append(file)
        raise OSError("the disk is full")

    monkeypatch.setattr(leaks, "_alike", failing)
    with pytest.raises(OSError, match="full"):
        leaks.near_duplicates([tmp_path / "0.parquet"])
    assert seen
    assert [file.name for file in tmp_path.iterdir()] == ["0.parquet"]


def test_contents_that_share_an_id_are_no_copies_of_what_they_share_half_of() -> None:
    half = SAID + " and nobody on the quay had seen her lights that night or heard her bell at all"
    with TemporaryDirectory() as folder:
        for number, text in enumerate((half, half, "so they say of " + SAID)):
            made = Grams()
            story = "alma" if number < 2 else "brig"
            made.add(Content(f"{story}.wire.s1", f"{number}.json", story, "train"), text)
            made.write(Path(folder) / f"{number}.parquet")
        assert [pair.share for pair in leaks.near_duplicates(sorted(Path(folder).glob("*"))) if pair.share > 1] == []


def test_a_text_that_outlets_copy_fifty_times_is_found_in_files_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [(f"s{i:03}", "train", SAID) for i in range(50)]
    found = near_duplicates(many)
    monkeypatch.setattr(leaks, "ROOM", 1_000)
    assert near_duplicates(many) == found and len(found) == 50 * 49 // 2


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["train", "test"]), st.text("xy ", max_size=60)), max_size=8
    )
)
def test_copies_are_those_that_counting_by_hand_finds(contents: list[Said]) -> None:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[k : k + 4]) for k in range(len(words) - 3)} if len(words) >= 8 else set()

    found = {(copy.one.id, copy.other.id): copy.share for copy in near_duplicates(contents)}
    expected = {}
    for i, (story, _, text) in enumerate(contents):
        for j, (other, _, copy) in enumerate(contents):
            if story < other and (shared := len(runs(text) & runs(copy))):
                share = shared / min(len(runs(text)), len(runs(copy)))
                if share >= leaks.ALIKE:
                    expected[f"{story}.wire.s{i}", f"{other}.wire.s{j}"] = round(share, 4)
    assert found == expected
