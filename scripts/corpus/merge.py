#!/usr/bin/env python3
"""Put blind passes together: what they agree on stands, what they differ on waits for an adjudicator.

    python scripts/corpus/merge.py STORY --passes FOLDER --decided FOLDER

STORY is a folder in our own form whose articles have an inventory and no labels. FOLDER/<pass>/<story>/<article>.json
holds what a pass said, and FOLDER/<story>/<article>.json what the adjudicator decided; PROTOCOL.md gives their form.
Prints what is undecided, as JSON; where nothing is, writes the labels, with all votes, into the articles. No label is
made here: each is one that a pass or the adjudicator gave.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from onrecord.formats import own
from onrecord.model import TAG_STANCE

UNRELATED: Mapping[str, Any] = {"label": "unrelated"}
HOLDER_FIELDS = ("source_type", "disclosure")
LAST = ("annotators", "judged", "holders", "statements", "excluded")  # in an article's file, in this order
Said = Mapping[str, Mapping[str, Any]]  # pass to what it said of one article


def essence(pair: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two passes must have alike: label, certainty, required tags, and the statements relayed."""
    tags = sorted(tag for tag in pair.get("tags", ()) if tag in TAG_STANCE)
    return pair["label"], pair.get("certainty", "na"), tags, sorted(pair.get("relays", ()))


def votes_on(said: Said, statement: str, target: str) -> dict[str, Mapping[str, Any]]:
    """What each pass said of a pair."""
    return {name: one["stances"].get(statement, {}).get(target, UNRELATED) for name, one in said.items()}


def agreed(votes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any] | None:
    """The pair as all passes have it; free tags where all gave them. None where the passes differ."""
    first, *others = votes.values()
    if any(essence(other) != essence(first) for other in others):
        return None
    tags = set(first.get("tags", ())).intersection(*(other.get("tags", ()) for other in others))
    kept = {key: first[key] for key in ("label", "certainty", "relays", "why") if first.get(key)}
    return kept | ({"tags": sorted(tags)} if tags else {})


def ballot(votes: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    label = {name: str(vote["label"]) for name, vote in votes.items()}
    graded = {name: str(vote["certainty"]) for name, vote in votes.items() if vote["label"] in ("affirm", "deny")}
    return {"label": label, **({"certainty": graded} if graded else {})}


def stances(
    said: Said, decided: Mapping[str, Any], statement: str, targets: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any] | None, dict[str, Mapping[str, Any]]]]:
    """Target, gold and votes of each pair that somebody calls related. Gold is None where nobody has decided."""
    for target in targets:
        votes = votes_on(said, statement, target)
        ruling = decided.get("pairs", {}).get(f"{statement}.{target}")
        if ruling or any(vote["label"] != "unrelated" for vote in votes.values()):
            yield target, dict(ruling) if ruling else agreed(votes), votes


def tidy(pair: Mapping[str, Any]) -> dict[str, Any]:
    """A pair in the schema's form: nothing empty, and certainty where there is one."""
    kept = {key: pair[key] for key in ("label", "certainty", "relays", "tags", "why") if pair.get(key)}
    if pair["label"] not in ("affirm", "deny"):
        kept.pop("certainty", None)
    return kept


def merge(
    article: dict[str, Any], said: Said, decided: Mapping[str, Any], targets: Sequence[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The article with its labels, and what is undecided in it."""
    open_: dict[str, Any] = {"holders": {}, "pairs": {}}
    article = {**article, "annotators": sorted(said), "judged": list(targets)}
    for name, holder in article["holders"].items():
        given = {field: {who: one["holders"][name][field] for who, one in said.items()} for field in HOLDER_FIELDS}
        holder["votes"] = given
        ruling = decided.get("holders", {}).get(name, {})
        for field, values in given.items():
            if field in ruling:
                holder[field] = ruling[field]
            elif len(set(values.values())) == 1:
                holder[field] = next(iter(values.values()))
            else:
                open_["holders"].setdefault(name, {})[field] = values
    for statement in article["statements"]:
        statement["stances"] = {}
        for target, gold, votes in stances(said, decided, statement["id"], targets):
            if gold is None:
                open_["pairs"][f"{statement['id']}.{target}"] = votes
            else:
                statement["stances"][target] = {**tidy(gold), "votes": ballot(votes)}
    ordered = {key: article[key] for key in (*(k for k in article if k not in LAST), *LAST) if key in article}
    return ordered, {key: found for key, found in open_.items() if found}


def read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    options.add_argument("story", type=Path)
    options.add_argument("--passes", type=Path, required=True)
    options.add_argument("--decided", type=Path, required=True)
    asked = options.parse_args()
    story = asked.story.name
    targets = [target["id"] for target in read(asked.story / "story.json")["targets"]]
    made: dict[Path, dict[str, Any]] = {}
    undecided: dict[str, Any] = {}
    for file in sorted(asked.story.glob("*.json")):
        if file.name == "story.json":
            continue
        said = {one.name: read(one / story / file.name) for one in sorted(asked.passes.iterdir()) if one.is_dir()}
        made[file], left = merge(read(file), said, read(asked.decided / story / file.name), targets)
        undecided |= {file.stem: left} if left else {}
    if undecided:
        print(json.dumps({story: undecided}, indent=1, ensure_ascii=False))
        return 2
    for file, article in made.items():
        file.write_text(own.write_json(article), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
