"""Splits and leaks: what is frozen stays, what is new balances, what is copied is found."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onrecord import split
from onrecord.split import Content, Grams, Profile


def test_a_storys_split_is_for_ever() -> None:
    stories = ("alma", "brig", "visit", "lake-ambrel-meeting")
    assert [split.hashed(story) for story in stories] == ["test", "test", "test", "train"]


def test_hashing_shares_out_35_15_50() -> None:
    counts = Counter(split.hashed(f"story-{i}") for i in range(10_000))
    shares = [counts[name] / 10_000 for name in ("train", "validation", "test")]
    assert shares == pytest.approx([0.35, 0.15, 0.5], abs=0.02)


PROFILES = st.dictionaries(
    st.text("abcdefgh", min_size=1, max_size=3),
    st.builds(
        Profile,
        st.sampled_from(["sport", "health", None]),
        st.dictionaries(st.sampled_from(["affirm", "deny"]), st.integers(0, 30)),
    ),
    max_size=12,
)


@given(PROFILES)
def test_a_proposal_depends_on_the_stories_and_not_on_their_order(profiles: dict[str, Profile]) -> None:
    proposed = split.propose({}, profiles)
    assert proposed == split.propose({}, dict(reversed(profiles.items())))
    assert set(proposed) == set(profiles)


@given(PROFILES)
def test_what_is_frozen_is_not_proposed_anew(profiles: dict[str, Profile]) -> None:
    frozen = dict.fromkeys(list(profiles)[::2], "validation")
    assert set(split.propose(frozen, profiles)) == set(profiles) - set(frozen)


def test_proposals_tend_towards_the_shares() -> None:
    profiles = {f"s{i:02}": Profile("sport", {"affirm": 10, "deny": 5}) for i in range(40)}
    counts = Counter(split.propose({}, profiles).values())
    assert counts["test"] == pytest.approx(20, abs=2)
    assert counts["train"] == pytest.approx(14, abs=2)
    assert counts["validation"] == pytest.approx(6, abs=2)


# -- leaks -----------------------------------------------------------------------------------------------------

SAID = "the Alma had left the harbour in good order and in fair weather"


def grams(*contents: tuple[str, str, str]) -> Grams:
    """Contents as (story, split, text)."""
    made = Grams()
    for i, (story, place, text) in enumerate(contents):
        made.add(Content(f"{story}.wire.s{i}", f"{story}/wire.json", story, place), text)
    return made


def test_a_copy_in_another_story_is_found_whatever_its_case_and_quotes() -> None:
    (found,) = split.copies(grams(("alma", "train", SAID), ("brig", "test", f"“{SAID.upper()},” in all")))
    assert (found.one.id, found.other.id) == ("alma.wire.s0", "brig.wire.s1")
    assert found.share == 1.0
    assert found.leaks


def test_a_copy_in_the_same_story_or_split_leaks_nothing() -> None:
    assert split.copies(grams(("alma", "train", SAID), ("alma", "train", SAID))) == []
    (found,) = split.copies(grams(("alma", "train", SAID), ("brig", "train", SAID)))
    assert not found.leaks
    assert list(split.leak_findings([found], frozen=True)) == []


def test_short_contents_and_other_words_are_no_copies() -> None:
    assert split.copies(grams(("alma", "train", "in good order"), ("brig", "test", "in good order"))) == []
    other = "the brig had stayed in port for a week because of high seas and wind"
    assert split.copies(grams(("alma", "train", SAID), ("brig", "test", other))) == []


def test_a_content_copied_hundreds_of_times_is_found_all_the_same() -> None:
    many = [(f"s{i:03}", "test" if i == 150 else "train", SAID) for i in range(300)]
    found = split.copies(grams(*many))
    assert any(copy.leaks for copy in found)
    assert len(found) < 1000


def test_copies_do_not_depend_on_how_contents_were_sharded() -> None:
    contents = [(f"s{i % 7}", "train" if i % 7 < 3 else "test", SAID + " again" * (i % 3)) for i in range(20)]
    whole, parts = grams(*contents), Grams()
    for i in reversed(range(20)):
        one = Grams()
        one.add(whole.contents[i], contents[i][2])
        parts += one
    assert split.copies(parts) == split.copies(whole)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["train", "test"]), st.text("xy ", max_size=60)), max_size=8
    )
)
def test_copies_are_those_that_counting_by_hand_finds(contents: list[tuple[str, str, str]]) -> None:
    def runs(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[k : k + 4]) for k in range(len(words) - 3)} if len(words) >= 8 else set()

    found = {(copy.one.id, copy.other.id): copy.share for copy in split.copies(grams(*contents))}
    expected = {}
    for i, (story, _, text) in enumerate(contents):
        for j, (other, _, copy) in enumerate(contents):
            if story < other and (shared := len(runs(text) & runs(copy))):
                share = shared / min(len(runs(text)), len(runs(copy)))
                if share >= split.ALIKE:
                    expected[f"{story}.wire.s{i}", f"{other}.wire.s{j}"] = round(share, 4)
    assert found == expected
