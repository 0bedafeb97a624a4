"""Splits: what is frozen stays, what is new balances."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onrecord import split
from onrecord.split import Profile


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
