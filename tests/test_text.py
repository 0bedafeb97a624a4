"""Strings and spans: normal form, marked quotes, Unicode."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from onrecord import text as strings
from onrecord.model import Span

COMBINING = st.text(
    alphabet="abe \r\n\u0301\u0308\u0327가각ᄀ\u1161\u11a8é\u0344Å\u2126\u0f73\u09c7\u09be👩\u200d", max_size=30
)


@pytest.mark.security("any input")
@given(COMBINING)
@example("e\u0301\r\nx")
@example("\u0301\u0301")
@example("\r\n\u0301")
@example("a\u0f73\u0301")
@example("ᄀ\u1161\u11a8")
def test_offsets_follow_a_text_into_its_normal_form(raw: str) -> None:
    normal = strings.normalise(raw)
    assert normal.text == unicodedata.normalize("NFC", raw.replace("\r\n", "\n").replace("\r", "\n"))
    moved = [normal.offset(i) for i in range(len(raw) + 1)]
    assert moved == sorted(moved)
    assert (moved[0], moved[-1]) == (0, len(normal.text))


@given(COMBINING, COMBINING)
def test_a_digit_is_found_where_it_went(before: str, after: str) -> None:
    raw = before + "8" + after
    normal = strings.normalise(raw)
    assert normal.text[normal.offset(len(before))] == "8"


@pytest.mark.parametrize("offset", [-1, 3])
@pytest.mark.parametrize("raw", ["ab", "a\u0301"])
def test_offsets_outside_the_raw_text_are_refused(raw: str, offset: int) -> None:
    with pytest.raises(IndexError):
        strings.normalise(raw).offset(offset)


def test_javascript_counts_an_emoji_as_two() -> None:
    assert strings.utf16_offsets("a👩b") == [0, 1, 1, 2, 3]


# -- marked quotes ---------------------------------------------------------------------------------------------


def test_marks_give_the_fragments_of_each_role() -> None:
    plain, roles = strings.parse_quote("“[[No]],” {{Hale}} <<said>>, “[[and {{never}}]].”")
    assert plain == "“No,” Hale said, “and never.”"
    assert {role: [plain[a:b] for a, b in spans] for role, spans in roles.items()} == {
        "content": ["No", "and never"],
        "source": ["Hale", "never"],
        "cue": ["said"],
    }


def test_fragments_of_one_role_may_nest() -> None:
    assert strings.parse_quote("[[a [[b]] c]]")[1]["content"] == [Span(0, 5), Span(2, 3)]


@pytest.mark.parametrize(
    "quote, says",
    [
        ("[[a", "a content mark is not closed"),
        ("a]]", "]] closes nothing"),
        ("{{a]]", "]] closes nothing"),
        ("[[a]] <<b", "a cue mark is not closed"),
    ],
)
def test_marks_that_do_not_pair_are_refused(quote: str, says: str) -> None:
    with pytest.raises(strings.MarkError) as caught:
        strings.parse_quote(quote)
    assert str(caught.value) == says


WORDS = st.text(alphabet="ab .\n[<{", min_size=1, max_size=40)


@pytest.mark.security("any input")
@given(WORDS, st.data())
def test_a_quote_that_is_written_reads_as_what_it_stands_for(text: str, data: st.DataObject) -> None:
    cut = st.integers(0, len(text))
    spans = {
        role: sorted({Span(*sorted((data.draw(cut), data.draw(cut)))) for _ in range(data.draw(st.integers(0, 2)))})
        for role in strings.ROLES
    }
    spans = {role: [span for span in group if span.start < span.end] for role, group in spans.items()}
    if not spans["content"]:
        return
    quote = strings.mark(text, spans)
    if quote is None:
        return  # the text holds marks of its own there, or the fragments nest in themselves
    plain, roles = strings.parse_quote(quote)
    assert len(strings.occurrences(plain, text)) == 1
    at = text.index(plain)
    assert {role: [Span(a + at, b + at) for a, b in group] for role, group in roles.items()} == spans


def test_overlapping_occurrences_count() -> None:
    assert strings.occurrences("aa", "aaa") == [0, 1]


# -- Unicode ---------------------------------------------------------------------------------------------------


@pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="only Python 3.11 knows what Unicode 14 knew")
def test_what_is_listed_as_later_is_unassigned_in_unicode_14() -> None:
    later = (chr(code) for low, high in strings._AFTER_14 for code in range(low, high + 1))
    assert [character for character in later if unicodedata.category(character) != "Cn"] == []


@pytest.mark.parametrize(
    "character, expected", [("a", False), ("\U0001fae0", False), ("\U0001fae8", True), ("\u0378", True)]
)
def test_unassigned_means_by_unicode_14(character: str, expected: bool) -> None:
    assert strings.unassigned(character) is expected


def test_addresses_are_as_people_write_them() -> None:
    assert strings.json_path(["statements", 3, "stances", "t-met"]) == "$.statements[3].stances.t-met"
    assert strings.json_path(["holders", "Ines Quarrie"]) == "$.holders['Ines Quarrie']"
    assert strings.json_path([]) == "$"
