"""What must hold of people's data beyond its form, and `admit`: the only way from a Document to an Article.

A rule is a generator under `@rule`; its name is its id and its docstring's first sentence its promise, from which
the reference is generated. Rules of a higher level may rely on the lower ones: a level that finds errors in a
document is the last that is asked about it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from onrecord import text as strings
from onrecord.form import RULES as FORM_RULES
from onrecord.form import did_you_mean, judge, show
from onrecord.model import (
    AUTHOR,
    NEVER,
    PRIMARY,
    TAG_STANCE,
    Article,
    Document,
    Edit,
    Excluded,
    Finding,
    Holder,
    Pair,
    Rule,
    Span,
    Statement,
    Story,
    Target,
    Zone,
    rules_of,
)

Data = Mapping[str, Any]
Hit = tuple[str, str] | tuple[str, str, str]  # where, what is wrong, and the statement at fault if it is one's

TARGET_WORDS = (6, 25)  # dataset/GUIDELINES.md, Targets


def rule(
    level: int, scope: str, remedy: str, severity: str = "error"
) -> Callable[[Callable[..., Iterator[Any]]], Rule]:
    """Make a rule of a generator.

    Its scope says what the generator is given and gives:

    - `data`: an article's data and its story; hits. `story data`: a story's data; hits.
    - `string`: one string, of an article or a story; an offset in it and what is wrong there.
    - `place`: a statement's or an excluded stretch's data and the text; what is wrong.
    - `article`: an admitted article and its story; hits. `complete`: the same, where the corpus has gates.json.
    - `story`: a story's admitted articles and the story; the article at fault, where, what.
    - `contrast`: a contrast file's data, and the admitted articles of its story by id; hits.
    """

    def make(test: Callable[..., Iterator[Any]]) -> Rule:
        promise = " ".join((test.__doc__ or "").split())
        return Rule(test.__name__.replace("_", "-"), level, promise, remedy, severity, scope, test)

    return make


# -- level 2: references ---------------------------------------------------------------------------------------


def _statements(data: Data) -> Iterator[tuple[str, Data]]:
    for i, statement in enumerate(data["statements"]):
        yield f"$.statements[{i}]", statement


def _inventories(data: Data) -> Iterator[tuple[str, Sequence[Data]]]:
    yield "$.statements", data["statements"]
    for name, statements in data.get("passes", {}).items():
        yield f"$.passes.{name}", statements


def _places(data: Data) -> Iterator[tuple[str, Data]]:
    """Whatever has a place in the text, with its address."""
    for inventory, items in (*_inventories(data), ("$.excluded", data.get("excluded", ()))):
        for i, item in enumerate(items):
            yield f"{inventory}[{i}]", item


def _pairs(data: Data) -> Iterator[tuple[str, Data, str, Data]]:
    for where, statement in _statements(data):
        for target, pair in statement.get("stances", {}).items():
            yield f"{where}.stances.{target}", statement, target, pair


@rule(2, "data", "run `onrecord hydrate` on the layer, and name the articles.jsonl that it writes")
def not_hydrated(data: Data, story: Story) -> Iterator[Hit]:
    """An article holds its text, and its spans are offsets into it, not the digests of a stand-off layer."""
    if "text" not in data:
        yield "$.reference", "stands in the place of the text"
        return
    for where, item in _places(data):
        if any(isinstance(fragment, dict) for role in strings.ROLES for fragment in item.get(role, ())):
            yield where, "holds digests in the place of offsets"
            return


@rule(2, "data", "write a day that the calendar has")
def impossible_date(data: Data, story: Story) -> Iterator[Hit]:
    """The day and the time of publication exist."""
    if "published" in data:
        try:
            datetime.fromisoformat(data["published"])
        except ValueError:
            yield "$.published", f"{show(data['published'])} is no day of the calendar"


@rule(2, "data", "give each its own id; an id that was released keeps its statement")
def duplicate_statement(data: Data, story: Story) -> Iterator[Hit]:
    """Statement ids are unique within their inventory."""
    for inventory, statements in _inventories(data):
        seen: set[str] = set()
        for i, statement in enumerate(statements):
            if statement["id"] in seen:
                yield f"{inventory}[{i}].id", f"the id {statement['id']!r} is taken"
            seen.add(statement["id"])


@rule(2, "data", "rename the pass, or name the annotator of the statements in `annotator`")
def duplicate_annotator(data: Data, story: Story) -> Iterator[Hit]:
    """Other segmentations are by others than the annotator of the article's statements."""
    if (name := data.get("annotator", PRIMARY)) in data.get("passes", {}):
        yield f"$.passes.{name}", f"{name!r} made the statements of the article too"


@rule(2, "data", "add the holder to `holders`, or mend the id")
def unknown_holder(data: Data, story: Story) -> Iterator[Hit]:
    """A statement's holder and every link of its chain stand in the article's `holders`."""
    known = data.get("holders", {})
    for where, statement in _statements(data):
        for holder in (statement.get("holder"), *statement.get("chain", ())):
            if holder is not None and holder not in known:
                yield where, f"no holder has the id {holder!r}{did_you_mean(holder, known)}", statement["id"]


@rule(2, "data", "mend the id, or add the target to story.json")
def unknown_target(data: Data, story: Story) -> Iterator[Hit]:
    """Targets that an article names stand in its story."""
    known = [target.id for target in story.targets]
    for i, target in enumerate(data.get("judged", ())):
        if target not in known:
            yield f"$.judged[{i}]", f"no target has the id {target!r}{did_you_mean(target, known)}"
    for where, statement, target, _ in _pairs(data):
        if target not in known:
            yield where, f"no target has the id {target!r}{did_you_mean(target, known)}", statement["id"]


@rule(2, "data", "list the target under `judged`, or delete the pair")
def target_not_judged(data: Data, story: Story) -> Iterator[Hit]:
    """Every target that a statement lists is one that the article was judged against."""
    judged = data.get("judged", ())
    for where, statement, target, _ in _pairs(data):
        if target not in judged:
            yield where, f"{target!r} is not among `judged`", statement["id"]


@rule(2, "data", "mend the id")
def unknown_statement(data: Data, story: Story) -> Iterator[Hit]:
    """`mention_of` and `relays` name other statements of the same article."""
    known = {statement["id"] for statement in data["statements"]}
    for where, statement in _statements(data):
        named = [("mention_of", statement["mention_of"])] if "mention_of" in statement else []
        named += [
            ("relays", inner) for pair in statement.get("stances", {}).values() for inner in pair.get("relays", ())
        ]
        for name, other in named:
            if other == statement["id"]:
                yield where, f"`{name}` names the statement itself", statement["id"]
            elif other not in known:
                yield (
                    where,
                    f"`{name}` names {other!r}, which is not there{did_you_mean(other, known)}",
                    statement["id"],
                )


@rule(2, "data", "add the annotator to `annotators`, or delete the vote")
def vote_of_stranger(data: Data, story: Story) -> Iterator[Hit]:
    """Whoever votes stands in the article's `annotators`."""
    known = set(data.get("annotators", ()))
    for where, statement, _, pair in _pairs(data):
        for annotator in _voters(pair) - known:
            yield f"{where}.votes", f"{annotator!r} is not among `annotators`", statement["id"]
    for name, holder in data.get("holders", {}).items():
        for annotator in _voters(holder) - known:
            yield f"$.holders.{name}.votes", f"{annotator!r} is not among `annotators`"


def _voters(judged: Data) -> set[str]:
    return {annotator for given in judged.get("votes", {}).values() for annotator in given}


@rule(2, "story data", "give each target its own id")
def duplicate_target(data: Data) -> Iterator[Hit]:
    """Target ids are unique within their story."""
    counts = Counter(target["id"] for target in data["targets"])
    for target, count in counts.items():
        if count > 1:
            yield "$.targets", f"the id {target!r} occurs {count} times"


@rule(2, "story data", "name the other target in both")
def incompatible_not_mutual(data: Data) -> Iterator[Hit]:
    """Targets that are incompatible name each other, and not themselves."""
    named = {target["id"]: target.get("incompatible_with", ()) for target in data["targets"]}
    for i, (target, others) in enumerate(named.items()):
        for other in others:
            if other == target or target not in named.get(other, ()):
                what = "names itself" if other == target else f"names {other!r}, which does not name it"
                yield f"$.targets[{i}].incompatible_with", what


# -- level 3: text ---------------------------------------------------------------------------------------------

_NOT_TEXT = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff\\ufdd0-\\ufdef]")
_IN_PASS = re.compile(r"\$\.passes\.([a-z0-9-]+)(.*)")
_WORD_CHARACTER = re.compile(r"\w")
_SINCE_UNICODE_1 = "\u0377"  # up to here every code point is assigned

# No rule of strings can find fault with a string of these: printable ASCII, Latin letters, the usual quotes and dashes.
_COMMON = re.compile("[\\n\\t\\x20-\\x7e\\xa0-\\u02ff\\u2010-\\u2027\\u2030-\\u205e\\u20ac]*")


@rule(3, "string", "save it in Unicode NFC; most editors and `uconv -x any-nfc` can")
def not_normal(value: str) -> Iterator[tuple[int, str]]:
    """Text is in Unicode NFC, so that offsets mean the same to everybody."""
    if not unicodedata.is_normalized("NFC", value):
        normal = strings.nfc(value)
        at = next((i for i, (a, b) in enumerate(zip(value, normal, strict=False)) if a != b), len(normal))
        yield at, f"{show(value[max(0, at - 9) : at + 3])} is not in NFC"


@rule(3, "string", "delete the character, or put a space in its place")
def control_character(value: str) -> Iterator[tuple[int, str]]:
    """Text holds no control characters but LF and tab, no other separators of lines, no noncharacters."""
    if found := _NOT_TEXT.search(value):
        yield found.start(), f"holds U+{ord(found[0]):04X}"


@rule(3, "string", "write the character by one that Unicode 14 knows")
def unassigned_character(value: str) -> Iterator[tuple[int, str]]:
    """Text holds no code point that Unicode 14 leaves unassigned, for its digests must not depend on the Python."""
    for character in sorted(filter(_SINCE_UNICODE_1.__lt__, set(value))):
        if strings.unassigned(character) and not _NOT_TEXT.match(character):
            yield value.index(character), f"holds U+{ord(character):04X}"
            return


@rule(3, "data", "write the text, or delete the article")
def blank_text(data: Data, story: Story) -> Iterator[Hit]:
    """Texts hold at least one word."""
    if "text" in data and not _WORD_CHARACTER.search(data["text"]):
        yield "$.text", "is blank"


@rule(3, "data", "sort the zones and part them")
def bad_zones(data: Data, story: Story) -> Iterator[Hit]:
    """Zones lie within the text, in order, and do not overlap."""
    at, length = 0, len(data["text"])
    for i, (start, end, _) in enumerate(data.get("zones", ())):
        if not at <= start < end <= length:
            fault = (
                "is empty or reversed" if end <= start else f"ends beyond the text's {length:,}" if end > length
                else f"starts before {at:,}, where the zone before it ends"
            )  # fmt: skip
            yield f"$.zones[{i}]", f"[{start}, {end}) {fault}"
            return
        at = end


@rule(3, "place", "pair the double brackets")
def quote_marks_unpaired(item: Data, text: str) -> Iterator[str]:
    """The double brackets of a marked quote pair."""
    if "quote" in item:
        try:
            strings.parse_quote(item["quote"])
        except strings.MarkError as error:
            yield f"{show(item['quote'])}: {error}"


@rule(3, "place", "mark the content with [[ and ]]")
def quote_without_content(item: Data, text: str) -> Iterator[str]:
    """A marked quote marks content that is not blank."""
    plain, roles = _quoted(item)
    if plain is not None and not any(plain[a:b].strip() for a, b in roles["content"]):
        yield f"{show(item['quote'])} marks no content"


@rule(3, "place", "copy the words from the text as they stand there, marks apart")
def quote_not_found(item: Data, text: str) -> Iterator[str]:
    """A marked quote stands in the text, letter for letter."""
    plain, _ = _quoted(item)
    if plain is not None and plain not in text:
        yield f"{show(plain)} is not in the text{_nearest(plain, text)}"


@rule(3, "place", "add words on either side until it occurs once")
def quote_not_unique(item: Data, text: str) -> Iterator[str]:
    """A marked quote stands in the text exactly once."""
    plain, _ = _quoted(item)
    if plain is not None and len(found := strings.occurrences(plain, text)) > 1:
        yield f"{show(plain)} stands in the text at {found[0]:,} and at {found[1]:,}"


@rule(3, "place", "mend the offsets; they count code points of the text, zone prefixes apart")
def span_out_of_bounds(item: Data, text: str) -> Iterator[str]:
    """Spans lie within the text."""
    for role, (_, end) in _given(item):
        if end > len(text):
            yield f"{role} ends at {end:,}, the text at {len(text):,}"


@rule(3, "place", "write the start before the end")
def span_empty(item: Data, text: str) -> Iterator[str]:
    """Spans end after they start."""
    for role, (start, end) in _given(item):
        if end <= start:
            yield f"{role} [{start}, {end}) {'is empty' if end == start else 'is reversed'}"


@rule(3, "place", "join the fragments, or part them")
def spans_overlap(item: Data, text: str) -> Iterator[str]:
    """Fragments of one role of one statement do not overlap."""
    spans = (
        locate(item, text) if "quote" in item or any(len(item.get(role, ())) > 1 for role in strings.ROLES) else {}
    )
    for role, fragments in spans.items():
        for (_, end), (start, after) in pairwise(fragments):
            if start < end:
                yield f"two {role} fragments share [{start}, {min(end, after)})"


def _quoted(item: Data) -> tuple[str | None, Mapping[str, list[Span]]]:
    """A marked quote without its marks, and what they mark; None where there is none or its marks do not pair."""
    try:
        return strings.parse_quote(item["quote"]) if "quote" in item else (None, {})
    except strings.MarkError:
        return None, {}


def _given(item: Data) -> Iterator[tuple[str, tuple[int, int]]]:
    for role in strings.ROLES:
        for start, end in item.get(role, ()):
            yield role, (start, end)


def _nearest(plain: str, text: str) -> str:
    """Where the quote would stand if quotes, dashes and spaces were typed alike."""
    pattern = r"\W+".join(map(re.escape, re.findall(r"\w+", plain)[:60]))
    found = re.search(pattern, text, re.IGNORECASE) if pattern else None
    return f", which has {show(found[0])}" if found else ""


def locate(item: Data, text: str) -> dict[str, tuple[Span, ...]]:
    """The fragments of a statement by role, sorted; none where its quote cannot be placed."""
    if "quote" not in item:
        return {role: tuple(sorted(map(Span._make, item.get(role, ())))) for role in strings.ROLES}
    plain, marked = _quoted(item)
    at = -1 if plain is None else text.find(plain)
    if at < 0:
        return dict.fromkeys(strings.ROLES, ())
    return {role: tuple(Span(a + at, b + at) for a, b in spans) for role, spans in marked.items()}


# -- level 4: what the scheme forbids --------------------------------------------------------------------------


_KINDS = {stance: [tag for tag, of in TAG_STANCE.items() if of == stance] for stance in TAG_STANCE.values()}


def _listed(article: Article) -> Iterator[tuple[str, Statement, Pair]]:
    for i, statement in enumerate(article.statements):
        for pair in (statement.stances or {}).values():
            yield f"$.statements[{i}].stances.{pair.target}", statement, pair


@rule(4, "article", "add the tag that fits; schema/README.md tells them apart")
def missing_tag(article: Article, story: Story) -> Iterator[Hit]:
    """A doubt or a decline carries a tag that says of which kind."""
    for where, statement, pair in _listed(article):
        kinds = _KINDS.get(pair.label, ())
        if kinds and not set(kinds) & set(pair.tags):
            yield where, f"a {pair.label} has none of the tags {', '.join(kinds)}", statement.id


@rule(4, "article", "delete the tag, or mend the label")
def tag_of_other_stance(article: Article, story: Story) -> Iterator[Hit]:
    """A tag that belongs to one stance stands with no other."""
    for where, statement, pair in _listed(article):
        for tag in pair.tags:
            if TAG_STANCE.get(tag, pair.label) != pair.label:
                yield where, f"{tag!r}, a tag of {TAG_STANCE[tag]}, stands with {pair.label}", statement.id


@rule(4, "article", "give affirm and deny certain, probable or possible; give all else `na` or nothing")
def certainty_of_stance(article: Article, story: Story) -> Iterator[Hit]:
    """Affirm and deny have a degree of certainty, every other stance has none."""
    for where, statement, pair in _listed(article):
        graded = pair.label in ("affirm", "deny")
        if pair.certainty is not None and (pair.certainty == "na") == graded:
            yield where, f"{pair.label} has the certainty {pair.certainty}", statement.id


@rule(4, "article", "name the inner statement in `relays`, or mend the label")
def relay_of_nothing(article: Article, story: Story) -> Iterator[Hit]:
    """A relay names the inner statement that it passes on, and nothing else relays."""
    for where, statement, pair in _listed(article):
        if (pair.label == "relay") != bool(pair.relays):
            yield (
                where,
                "the relay names nothing in `relays`" if pair.label == "relay" else f"{pair.label} has `relays`",
                statement.id,
            )


@rule(4, "article", "point to the statement whose chain holds this holder and which bears on the target")
def relay_of_other(article: Article, story: Story) -> Iterator[Hit]:
    """What is relayed is said by an inner holder and bears on the same target."""
    inner = {statement.id: statement for statement in article.statements}
    for where, statement, pair in _listed(article):
        for name in pair.relays:
            told = inner[name]
            if statement.holder not in told.chain:
                yield where, f"{statement.holder!r} is no link of the chain of {name!r}", statement.id
            elif _label(told, pair.target) == "unrelated":
                yield where, f"{name!r} takes no stance on {pair.target!r}", statement.id


def _label(statement: Statement, target: str) -> str:
    pair = (statement.stances or {}).get(target)
    return pair.label if pair else "unrelated"


@rule(4, "article", "mend the stance or the source type")
def stance_of_source(article: Article, story: Story) -> Iterator[Hit]:
    """A holder takes no stance that its source type cannot: neither a document nor the author ever declines.

    Nor does the author relay.
    """
    for where, statement, pair in _listed(article):
        holder = article.holders.get(statement.holder or "")
        kind = holder.source_type if holder else None
        if kind and pair.label in NEVER[kind]:
            yield where, f"the holder is of the type {kind} and has the stance {pair.label}", statement.id


@rule(4, "article", "call the article's own voice `author`, and nobody else")
def author_type(article: Article, story: Story) -> Iterator[Hit]:
    """The holder `author`, and no other, has the source type author."""
    for holder in article.holders.values():
        if holder.source_type and (holder.id == AUTHOR) != (holder.source_type == "author"):
            yield f"$.holders.{holder.id}", f"has the source type {holder.source_type}"


@rule(4, "article", "use `na` for author and document, another value for all else")
def disclosure_of_source(article: Article, story: Story) -> Iterator[Hit]:
    """Author and document have the disclosure na, all other holders another."""
    for holder in article.holders.values():
        nobody = holder.source_type in ("author", "document")
        if holder.source_type and holder.disclosure and nobody != (holder.disclosure == "na"):
            yield f"$.holders.{holder.id}", f"{holder.source_type} has the disclosure {holder.disclosure}"


@rule(4, "article", "take the author out of the chain, or mend the quote form")
def author_speaks_itself(article: Article, story: Story) -> Iterator[Hit]:
    """The author stands in no chain and has none, and its statements, like no others, have the quote form none."""
    for i, statement in enumerate(article.statements):
        own = statement.holder == AUTHOR
        if AUTHOR in statement.chain or (own and statement.chain):
            yield (
                f"$.statements[{i}].chain",
                "the author is a link of the chain" if AUTHOR in statement.chain else "the author has a chain",
                statement.id,
            )
        elif statement.holder and statement.quote_form and own != (statement.quote_form == "none"):
            yield (
                f"$.statements[{i}].quote_form",
                f"{statement.holder!r} has the quote form {statement.quote_form}",
                statement.id,
            )


@rule(4, "article", "list each link once, the innermost as `holder` only")
def chain_repeats(article: Article, story: Story) -> Iterator[Hit]:
    """No holder stands twice in a chain, nor in the chain of its own statement."""
    for i, statement in enumerate(article.statements):
        links = (*statement.chain, statement.holder)
        if len(set(links)) < len(links):
            what = f"repeats a holder: {' > '.join(str(link) for link in links)}"
            yield f"$.statements[{i}].chain", what, statement.id


@rule(4, "article", "delete the statement; a teaser's statements are another story's")
def statement_in_promo(article: Article, story: Story) -> Iterator[Hit]:
    """No statement stands in a promo or in boilerplate."""
    if not article.zones:
        return
    for i, statement in enumerate(article.statements):
        if (zone := article.zone_at(statement.content[0].start)) in ("promo", "boilerplate"):
            yield f"$.statements[{i}]", f"stands in the {zone} zone", statement.id


@rule(4, "article", "add one line of reason")
def missing_why(article: Article, story: Story) -> Iterator[Hit]:
    """A `why` of one line goes with every judged label but plain affirm, deny and unrelated."""
    for where, statement, pair in _listed(article):
        plain = pair.label in ("affirm", "deny", "unrelated") and not pair.tags
        if pair.votes and not plain and not pair.why:
            yield where, f"{pair.label}{' with a tag' if pair.tags else ''} has no `why`", statement.id


@rule(4, "article", "deny the other, or mend the label")
def incompatible_stances(article: Article, story: Story) -> Iterator[Hit]:
    """Who affirms one of two incompatible targets denies the other, where it was judged."""
    others = {target.id: target.incompatible_with for target in story.targets}
    for where, statement, pair in _listed(article):
        if pair.label != "affirm":
            continue
        for other in others[pair.target]:
            if other in article.judged and (label := _label(statement, other)) != "deny":
                yield (
                    where,
                    f"affirms {pair.target!r}; its label on the incompatible {other!r} is {label}",
                    statement.id,
                )


@rule(4, "article", "point from each mention to the fullest, in a line that ends")
def mention_in_circle(article: Article, story: Story) -> Iterator[Hit]:
    """`mention_of` leads to a statement that is a mention of nothing."""
    following = {statement.id: statement.mention_of for statement in article.statements}
    for i, statement in enumerate(article.statements):
        at, steps = statement.mention_of, 0
        while at is not None and steps <= len(following):
            at, steps = following[at], steps + 1
        if at is not None:
            yield f"$.statements[{i}].mention_of", "leads in a circle", statement.id


@rule(4, "article", "point to a statement of the same holder, or of one that speaks for it")
def mention_of_other_holder(article: Article, story: Story) -> Iterator[Hit]:
    """A mention and the fullest statement have one holder, or one speaks for the other."""
    holders = {statement.id: statement.holder for statement in article.statements}
    for i, statement in enumerate(article.statements):
        if statement.mention_of is None:
            continue
        pair = {statement.holder, holders[statement.mention_of]}
        speaks = {article.holders[name].speaks_for for name in pair if name is not None}
        if len(pair) > 1 and not pair & speaks:
            yield (
                f"$.statements[{i}].mention_of",
                f"the two are said by {' and '.join(sorted(map(str, pair)))}",
                statement.id,
            )


@rule(4, "article", "read it again; if it stands as labelled, leave it", severity="warning")
def bare_source_declines(article: Article, story: Story) -> Iterator[Hit]:
    """A bare source seldom declines: wire style forbids it, though outlets do it."""
    for where, statement, pair in _listed(article):
        holder = article.holders.get(statement.holder or "")
        if pair.label == "decline" and holder and holder.disclosure == "bare":
            yield where, f"the bare source {show(holder.name)} declines", statement.id


@rule(4, "article", "delete the holder, or list its statements", severity="warning")
def idle_holder(article: Article, story: Story) -> Iterator[Hit]:
    """Every holder has a statement, is a link of a chain, or is spoken for."""
    used = {AUTHOR, *(holder.speaks_for for holder in article.holders.values())}
    used.update(holder for statement in article.statements for holder in (statement.holder, *statement.chain))
    for name in article.holders.keys() - used:
        yield f"$.holders.{name}", "speaks nowhere"


@rule(4, "article", "leave the white space out of the fragment", severity="warning")
def space_at_edge(article: Article, story: Story) -> Iterator[Hit]:
    """Fragments neither start nor end with white space."""
    for i, statement in enumerate(article.statements):
        for start, end in statement.spans:
            if article.text[start].isspace() or article.text[end - 1].isspace():
                what = f"the fragment {show(article.text[start:end])} has white space at an edge"
                yield f"$.statements[{i}]", what, statement.id


@rule(4, "story data", "word it in 6 to 25 words")
def target_length(data: Data) -> Iterator[Hit]:
    """A target has 6 to 25 words."""
    low, high = TARGET_WORDS
    for i, target in enumerate(data["targets"]):
        if not low <= len(target["text"].split()) <= high:
            yield f"$.targets[{i}].text", f"has {len(target['text'].split())} words"


@rule(4, "story", "give the entity one type, or two ids")
def holder_differs(articles: Sequence[Article], story: Story) -> Iterator[tuple[Article, str, str]]:
    """A holder's id is the same entity in all articles of a story, so it has one source type."""
    first: dict[str, tuple[str, str]] = {}
    for article in articles:
        for name, holder in article.holders.items():
            kind, there = first.setdefault(name, (holder.source_type or "", article.id))
            if holder.source_type and kind and holder.source_type != kind:
                yield article, f"$.holders.{name}.source_type", f"is {holder.source_type}, and {kind} in {there!r}"


# -- levels 2 to 4: minimal edits ---------------------------------------------------------------------------------


def _edits(data: Data) -> Iterator[tuple[str, Data]]:
    for i, edit in enumerate(data["edits"]):
        yield f"$.edits[{i}]", edit


@rule(2, "contrast", "give each its own id; an id that was released keeps its edit")
def duplicate_edit(data: Data, articles: Mapping[str, Article]) -> Iterator[Hit]:
    """Edit ids are unique within their story."""
    seen: set[str] = set()
    for where, edit in _edits(data):
        if edit["id"] in seen:
            yield f"{where}.id", f"the id {edit['id']!r} is taken"
        seen.add(edit["id"])


@rule(2, "contrast", "name a pair that has a stance, as article.statement.target")
def edit_of_nothing(data: Data, articles: Mapping[str, Article]) -> Iterator[Hit]:
    """What is edited is a related pair of an article of the story."""
    for where, edit in _edits(data):
        if original(edit["of"], articles) is None:
            yield f"{where}.of", f"{edit['of']!r} is no related pair"


@rule(4, "contrast", "edit the passage, the holder or the target, or delete the edit")
def edit_changes_nothing(data: Data, articles: Mapping[str, Article]) -> Iterator[Hit]:
    """An edit changes the passage, the holder's name or the target."""
    for where, edit in _edits(data):
        found = original(edit["of"], articles)
        if found is None or "holder" in edit or "target" in edit:
            continue
        article, statement, _ = found
        if strings.parse_quote(edit["passage"])[0] == strings.passage(article.text, statement.spans):
            yield f"{where}.passage", "is the passage as it stood"


def original(of: str, articles: Mapping[str, Article]) -> tuple[Article, Statement, Pair] | None:
    """The article, statement and pair that `article.statement.target` names; None where it is no related pair."""
    name, number, target = of.split(".")
    for statement in articles[name].statements if name in articles else ():
        if statement.id == number and _label(statement, target) != "unrelated":
            return articles[name], statement, (statement.stances or {})[target]
    return None


# -- level 5: the corpus, as far as one story shows it ---------------------------------------------------------

ARTICLE_WITHOUT_STORY = Rule(
    "article-without-story",
    2,
    "The story that an article names stands before it and has no errors.",
    "add or mend the story, or mend the article's `story`",
)
DUPLICATE_ARTICLE = Rule(
    "duplicate-article", 5, "Article ids are unique within their story.", "rename one of the two, or delete it"
)
DUPLICATE_STORY = Rule(
    "duplicate-story",
    5,
    "Story ids are unique in an input.",
    "rename one of the two, in its folder and in its articles, or delete it",
)


@rule(5, "complete", "annotate what is missing; only a corpus with gates.json is asked for it")
def incomplete(article: Article, story: Story) -> Iterator[Hit]:
    """In a corpus with gates.json every article is annotated in full, and by at least two annotators.

    That is: publisher, published, language and license; all targets of the story among `judged`; of every statement
    holder, quote form and stances; of every holder source type and disclosure; the votes of all `annotators` on
    these two and on every pair that is listed.
    """
    for name in ("publisher", "published", "language", "license"):
        if getattr(article, name) is None:
            yield f"$.{name}", "is missing"
    if len(article.annotators) < 2:
        yield "$.annotators", f"names {len(article.annotators) or 'nobody'}"
    for target in story.targets:
        if target.id not in article.judged:
            yield "$.judged", f"lacks the target {target.id!r}"
    for i, statement in enumerate(article.statements):
        for name in ("holder", "quote_form", "stances"):
            if getattr(statement, name) is None:
                yield f"$.statements[{i}].{name}", "is missing", statement.id
    for where, statement, pair in _listed(article):
        if lacking := _not_voting(article, pair.votes.get("label", {})):
            yield f"{where}.votes.label", f"lacks the vote of {lacking}", statement.id
    for name, holder in article.holders.items():
        for field_ in ("source_type", "disclosure"):
            if getattr(holder, field_) is None:
                yield f"$.holders.{name}.{field_}", "is missing"
            elif lacking := _not_voting(article, holder.votes.get(field_, {})):
                yield f"$.holders.{name}.votes.{field_}", f"lacks the vote of {lacking}"


def _not_voting(article: Article, votes: Mapping[str, str]) -> str:
    return " and ".join(name for name in article.annotators if name not in votes)


RULES = (*FORM_RULES, *rules_of(globals()))
_BY_SCOPE: dict[tuple[str, int], tuple[Rule, ...]] = {
    (scope, level): tuple(one for one in RULES if one.test and (one.scope, one.level) == (scope, level))
    for scope, level in {(one.scope, one.level) for one in RULES}
}

# -- admission -------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Admitted:
    """A story with the articles of it that passed, all findings, and what was left out, by rule."""

    story: Story
    file: str = ""  # that the story came from; empty where none came
    usable: bool = False  # whether the story passed, so that its articles can
    articles: list[Article] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    rejected: list[Document] = field(default_factory=list)
    documents: dict[str, Document] = field(default_factory=dict)  # by article key: what each came from
    edits: list[Edit] = field(default_factory=list)
    edited: list[Document] = field(default_factory=list)  # edits that are judged when all articles have been


def admit(documents: Iterable[Document | Finding], *, complete: bool = False) -> Iterator[Admitted]:
    """Judge a stream of documents, stories before their articles. One result a story, errors included.

    `complete` asks that nothing is left to annotate.
    """
    current = Admitted(Story(""))
    for document in documents:
        if isinstance(document, Finding):
            current.findings.append(document)
        elif document.kind == "story":
            if current.file or current.rejected:
                yield _closed(current)
                current = Admitted(Story(""))
            current = _open(document, current.findings)
        elif document.kind == "contrast":
            current.edited.append(document)
        else:
            _admit_article(document, current, complete)
    if current.file or current.findings:
        yield _closed(current)


def form(document: Document) -> list[Finding]:
    """Level 1 of one document: whether it follows its schema."""
    return judge(document.kind, document.data, document.file)


def _open(document: Document, findings: list[Finding]) -> Admitted:
    """The story, after the findings that came before it."""
    found = [*document.findings, *form(document)]
    for level in (2, 3, 4):
        if not _errors(found):
            found += _ask("story data", level, document, document.data)
            found += _ask_strings(level, document)
    into = Admitted(Story(""), document.file, not _errors(found), findings=[*findings, *found])
    if into.usable:
        into.story = story_of(document.data)
        into.left_out.update(document.left_out)
    else:
        name = document.data.get("id")
        into.story = Story(name if isinstance(name, str) else "")
        into.rejected.append(document)
    return into


def _admit_article(document: Document, into: Admitted, complete: bool) -> None:
    """Levels 1 to 5 of one article; an imported one may lose statements on the way."""
    into.left_out.update(document.left_out)
    findings, article, made_of = [*document.findings], None, None
    if document.imported:
        document = replace(document, data=_normal(document.data))
    for level in (1, 2, 3, 4, 5):
        found = list(_level(level, document, article, into, complete))
        if document.imported:
            found, document = _leave_out(found, document, into)
        findings += found
        if _errors(findings):
            break
        if level >= 3 and document.data is not made_of:
            article, made_of = article_of(document.data), document.data
    into.findings += findings
    if _errors(findings) or article is None:
        into.rejected.append(document)
    else:
        into.articles.append(article)
        into.documents[article.key] = document


def _level(
    level: int, document: Document, article: Article | None, into: Admitted, complete: bool
) -> Iterator[Finding]:
    data, story = document.data, into.story
    if level == 1:
        yield from form(document)
    elif level == 2 and not into.usable:
        what = f"the story {story.id!r} before it has errors" if story.id else "no story stands before it"
        yield ARTICLE_WITHOUT_STORY.finding(document.file, "$.story", what)
    elif level == 2 and data["story"] != story.id:
        what = f"names {data['story']!r}, the story before it is {story.id!r}"
        yield ARTICLE_WITHOUT_STORY.finding(document.file, "$.story", what)
    elif level < 4:
        yield from _ask("data", level, document, data, story)
        yield from _ask_strings(level, document)
        yield from _ask_places(level, document)
    elif level == 4:
        yield from _ask("article", level, document, article, story)
    else:
        if f"{story.id}.{data['id']}" in into.documents:
            there = into.documents[f"{story.id}.{data['id']}"].file
            yield DUPLICATE_ARTICLE.finding(document.file, "$.id", f"{data['id']!r} is the id of {there} too")
        if complete:
            yield from _ask("complete", level, document, article, story)


def _ask(scope: str, level: int, document: Document, *subject: Any) -> Iterator[Finding]:
    for one in _BY_SCOPE.get((scope, level), ()):
        for hit in one.test(*subject):  # type: ignore[misc]
            yield one.finding(*_address(document, hit[0]), hit[1], statement=hit[2] if len(hit) > 2 else None)


def _ask_strings(level: int, document: Document) -> Iterator[Finding]:
    asked = _BY_SCOPE.get(("string", level), ())
    for steps, value in _strings(document.data, ()) if asked and not _is_common(document.data) else ():
        for one in asked:
            for at, what in one.test(value):  # type: ignore[misc]
                line = f", line {value.count(chr(10), 0, at) + 1}" if "\n" in value else ""
                severity = "warning" if document.imported else None  # it does an import's spans no harm
                yield one.finding(document.file, strings.json_path(steps) + line, what, severity=severity)


def _ask_places(level: int, document: Document) -> Iterator[Finding]:
    asked = _BY_SCOPE.get(("place", level), ())
    for where, item in _places(document.data) if asked else ():
        statement = item.get("id") if where.startswith("$.statements[") else None
        for one in asked:
            for what in one.test(item, document.data["text"]):  # type: ignore[misc]
                yield one.finding(*_address(document, where), what, statement=statement)


def _address(document: Document, where: str) -> tuple[str, str]:
    """The file and the address in it: what another annotator marked may stand in a file of its own."""
    if (inner := _IN_PASS.fullmatch(where)) and inner[1] in document.passes_from:
        return document.passes_from[inner[1]], f"$.statements{inner[2]}"
    return document.file, where


def _common(string: str) -> bool:
    return (string.isascii() and string.isprintable()) or _COMMON.fullmatch(string) is not None


def _is_common(value: Any) -> bool:
    """Whether all strings are of common characters: the quick way to learn that `_strings` would give none."""
    parts = [value]
    for part in parts:  # grows as it goes
        if isinstance(part, str):
            if not _common(part):
                return False
        elif isinstance(part, dict):
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    return True


def _strings(value: Any, steps: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every string with other than common characters, with the way to it; keys are ids."""
    for key, part in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(part, str):
            if not _common(part):
                yield (*steps, key), part
        elif isinstance(part, _NESTS):
            yield from _strings(part, (*steps, key))


_NESTS = (dict, list)


def _normal(value: Any) -> Any:
    """The same value with its strings in NFC, as an import's are made."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, dict):
        return {key: _normal(part) for key, part in value.items()}
    return [_normal(part) for part in value] if isinstance(value, list) else value


def _leave_out(found: list[Finding], document: Document, into: Admitted) -> tuple[list[Finding], Document]:
    """Of an import, errors as warnings: a statement at fault is left out and counted, and then what points to it.

    What the scheme forbids beyond single statements (level 4) is left as it is.
    """
    told: list[Finding] = []
    while faulty := {f.statement: f for f in reversed(found) if f.statement and f.severity == "error"}:
        into.left_out.update(finding.rule for finding in faulty.values())
        told += [_softened(f, "it is left out; ") if f.statement in faulty else f for f in found]
        kept = [s for s in document.data["statements"] if not (isinstance(s, dict) and s.get("id") in faulty)]
        document = replace(document, data={**document.data, "statements": kept})
        found = [] if told[0].level == 1 else _dangling(document, into.story)
    return [*told, *(_softened(f, "") if f.level == 4 else f for f in found)], document


def _softened(finding: Finding, fate: str) -> Finding:
    if finding.severity == "warning":
        return finding
    return replace(finding, severity="warning", remedy=fate + finding.remedy)


def _dangling(document: Document, story: Story) -> list[Finding]:
    return [
        unknown_statement.finding(document.file, hit[0], hit[1], statement=hit[2])
        for hit in unknown_statement.test(document.data, story)  # type: ignore[misc]
    ]


def _closed(admitted: Admitted) -> Admitted:
    """Ask what only all articles of a story can answer, reject what is at fault, and sort the findings."""
    for one in _BY_SCOPE["story", 4]:
        for article, where, what in list(one.test(admitted.articles, admitted.story)):  # type: ignore[misc]
            document = admitted.documents[article.key]
            admitted.findings.append(
                one.finding(document.file, where, what, severity="warning" if document.imported else None)
            )
            if not document.imported and article in admitted.articles:
                admitted.articles.remove(article)
                admitted.rejected.append(document)
    for document in admitted.edited if admitted.usable else ():
        _admit_edits(document, admitted)
    admitted.findings.sort(key=lambda f: (f.file, f.level, f.where, f.rule, f.what))
    return admitted


def _admit_edits(document: Document, into: Admitted) -> None:
    articles = {article.id: article for article in into.articles}
    findings = [*document.findings, *form(document)]
    for level in (2, 3, 4):
        if _errors(findings):
            break
        findings += [*_ask("contrast", level, document, document.data, articles), *_ask_strings(level, document)]
        for where, edit in _edits(document.data) if level == 3 else ():
            for one in (quote_marks_unpaired, quote_without_content):
                found = one.test({"quote": edit["passage"]}, "")  # type: ignore[misc]
                findings += [one.finding(document.file, f"{where}.passage", what) for what in found]
    into.findings += findings
    if _errors(findings):
        into.rejected.append(document)
    else:
        into.edits += [_edit(item) for _, item in _edits(document.data)]


def _errors(findings: Iterable[Finding]) -> bool:
    return any(finding.severity == "error" for finding in findings)


# -- from data to dataclasses ----------------------------------------------------------------------------------


def story_of(data: Data) -> Story:
    """A story's data that passed, as a Story."""
    targets = tuple(
        Target(t["id"], t["text"], t["kind"], tuple(t.get("incompatible_with", ()))) for t in data["targets"]
    )
    return Story(
        data["id"], targets, data.get("title"), data.get("domain"), data.get("license"), data.get("fictional")
    )


def _edit(item: Data) -> Edit:
    article, statement, target = item["of"].split(".")
    return Edit(
        item["id"], article, statement, target, item["edit"], item["passage"], item["label"], item.get("holder"),
        item.get("target"), item.get("why"), item.get("votes", {}),
    )  # fmt: skip


_PLAIN = ("publisher", "published", "title", "language", "license", "url", "origin", "sampling")


def article_of(data: Data) -> Article:
    """An article's data that passed levels 1 to 3, as an Article. Statements keep their order."""
    text = data["text"]
    return Article(
        id=data["id"],
        story=data["story"],
        text=text,
        statements=tuple(_statement(item, text) for item in data["statements"]),
        holders={name: _holder(name, item) for name, item in data.get("holders", {}).items()},
        zones=tuple(Zone(*zone) for zone in data.get("zones", ())),
        annotator=data.get("annotator", PRIMARY),
        annotators=tuple(data.get("annotators", ())),
        judged=tuple(data.get("judged", ())),
        passes={
            name: tuple(_statement(item, text) for item in items) for name, items in data.get("passes", {}).items()
        },
        excluded=tuple(Excluded(locate(item, text)["content"], item["reason"]) for item in data.get("excluded", ())),
        provenance=data.get("provenance", {}),
        tier=data.get("tier", "open"),
        **{name: data.get(name) for name in _PLAIN},
    )


def _holder(name: str, item: Data) -> Holder:
    return Holder(
        name, item["name"], item.get("source_type"), item.get("disclosure"), item.get("role"), item.get("sector"),
        item.get("speaks_for"), item.get("votes", {}),
    )  # fmt: skip


def _statement(item: Data, text: str) -> Statement:
    spans = locate(item, text)
    stances = item.get("stances")
    return Statement(
        id=item["id"],
        content=spans["content"],
        source=spans["source"],
        cue=spans["cue"],
        holder=item.get("holder"),
        chain=tuple(item.get("chain", ())),
        quote_form=item.get("quote_form"),
        mention_of=item.get("mention_of"),
        added=item.get("added", False),
        stances=None
        if stances is None
        else {target: _pair(target, pair) for target, pair in sorted(stances.items())},
    )


def _pair(target: str, item: Data) -> Pair:
    return Pair(
        target, item["label"], item.get("certainty"), tuple(item.get("relays", ())),
        tuple(sorted(item.get("tags", ()))), item.get("why"), item.get("votes", {}),
    )  # fmt: skip
