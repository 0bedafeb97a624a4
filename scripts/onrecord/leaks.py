"""Near-duplicates of different stories, by an inverted index of word grams that need not fit in memory.

`Grams` are what a shard's worker writes of its contents; `near_duplicates` deals them out over files by gram, looks
through one file at a time for contents that share one, deals these pairs out again, and counts each pair's grams.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from onrecord import text as strings
from onrecord.model import Finding, Rule, rules_of

GRAM = 4  # words in a row; fewer recur between unrelated news (“in a statement on”)
LEAST_GRAMS = 5  # a content of fewer than 8 words says too little to be called a copy
ALIKE = 0.6  # shared grams over the grams of the shorter
COMMON = 50  # of the contents that share a gram, if they are more than this, only neighbours are compared
ROOM = 32_000_000  # bytes of one file of places or pairs, several of which are held at a time
_STEP = np.uint64(0x9E3779B97F4A7C15)  # odd: no word of a gram is lost in its hash
_WORD = re.compile(r"\w+")

# Contents and stories go by 64 bits of their ids, in whose order contents are neighbours however they were sharded.
_PLACE = np.dtype(  # a gram in a content, and size: how many grams the content has
    [("gram", "<u8"), ("content", "<u8"), ("story", "<u8"), ("size", "<u4")]
)
_PAIR = np.dtype([("one", "<u8"), ("other", "<u8"), ("least", "<u4")])  # least: grams of the shorter
_HELD = 2 * _PLACE.itemsize + _PAIR.itemsize + 16  # bytes that a pair takes while it is made
_SCHEMA = pa.schema(
    [
        ("content", pa.uint64()),
        ("id", pa.string()),
        ("file", pa.string()),
        ("story", pa.string()),
        ("split", pa.string()),
        ("grams", pa.list_(pa.uint64())),
    ]
)
_Array = npt.NDArray[Any]

NEAR_DUPLICATE = Rule(
    "near-duplicate",
    5,
    "No two stories say nearly the same in different splits.",
    "rewrite one of the two, or put both stories into one split",
)
RULES = rules_of(globals())


class Content(NamedTuple):
    """Whose words a content is; sorts by id."""

    id: str
    file: str
    story: str
    split: str


class NearDuplicate(NamedTuple):
    """Two contents of different stories that say nearly the same, and the share of the shorter one's grams."""

    one: Content
    other: Content
    share: float

    @property
    def leaks(self) -> bool:
        return self.one.split != self.other.split


class Grams:
    """Contents as sets of hashed grams: enough to compare them."""

    def __init__(self) -> None:
        self._contents: list[tuple[int, *Content]] = []
        self._grams: list[_Array] = []

    def add(self, content: Content, text: str) -> None:
        """Take a content in, unless it is too short to be called a copy of anything."""
        words = np.array([_hash64(word) for word in _WORD.findall(strings.fold(text))], np.uint64)
        if len(words) >= GRAM + LEAST_GRAMS - 1:
            grams = words[: 1 - GRAM].copy()
            for k in range(1, GRAM):
                grams = grams * _STEP + words[k : len(words) + 1 - GRAM + k]
            self._contents.append((_digest64(content.id), *content))
            self._grams.append(np.unique(grams))

    def __bool__(self) -> bool:
        return bool(self._contents)

    def write(self, file: Path) -> None:
        """Into a file for `near_duplicates`, in a folder that is there."""
        offsets = np.cumsum([0, *map(len, self._grams)], dtype=np.int32)
        grams = pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(self._grams)))
        columns = [pa.array(cells, part.type) for cells, part in zip(zip(*self._contents, strict=True), _SCHEMA)]
        pq.write_table(pa.Table.from_arrays([*columns, grams], schema=_SCHEMA), file)


@lru_cache(maxsize=1 << 18)
def _hash64(word: str) -> int:
    return _digest64(word)


def _digest64(text: str) -> int:
    return int(strings.digest([text]), 16)


def near_duplicates(files: Sequence[Path]) -> list[NearDuplicate]:
    """Near-duplicates of different stories in what `Grams` wrote, sorted.

    Of a gram in more than COMMON contents only neighbours are compared. A content copied more often is found, as its
    copies are each other's neighbours, though not every pair of them; two contents that are alike in such formulas
    alone may be missed. Held at a time are some files of ROOM bytes and what was found; disk is taken beside the
    first of the files.
    """
    if not files:
        return []
    size = sum(map(_bytes, files))
    with TemporaryDirectory(dir=files[0].parent) as folder:
        places = _dealt(map(_places, files), "gram", Path(folder) / "places", size)
        shared = (found for file in places for found in _sharing(file))
        pairs = _dealt(shared, "one", Path(folder) / "pairs", size)
        alike = [found for file in pairs for small in _small(file) for found in _alike(small)]
    contents = _contents(files, {content for one, other, _ in alike for content in (one, other)})
    found = ((contents[one], contents[other], share) for one, other, share in alike)
    return sorted(NearDuplicate(min(one, other), max(one, other), share) for one, other, share in found)


def _bytes(file: Path) -> int:
    held = pq.read_metadata(file)
    groups = (held.row_group(i).column(len(_SCHEMA) - 1) for i in range(held.num_row_groups))
    return sum(int(group.num_values) for group in groups) * _PLACE.itemsize


def readable(file: Path) -> bool:
    """Whether a file has the columns that `Grams` writes."""
    try:
        return bool(pq.read_schema(file).equals(_SCHEMA))
    except pa.ArrowException:
        return False


def _places(file: Path) -> _Array:
    table = pq.read_table(file, columns=["content", "story", "grams"])
    grams = table["grams"].combine_chunks()
    sizes = pc.list_value_length(grams).to_numpy()
    stories = {story: _digest64(story) for story in pc.unique(table["story"]).to_pylist()}
    found = np.empty(int(sizes.sum()), _PLACE)
    found["gram"] = grams.flatten().to_numpy()
    found["content"] = np.repeat(table["content"].to_numpy(), sizes)
    found["story"] = np.repeat(np.array([stories[s] for s in table["story"].to_pylist()], np.uint64), sizes)
    found["size"] = np.repeat(sizes, sizes)
    return found


def _dealt(arrays: Iterable[_Array], key: str, folder: Path, size: int, bits: int = 0) -> Iterator[Path]:
    """Files of about ROOM bytes of `size` in all, over which records are dealt out: by key, without its lowest bits."""
    folder.mkdir()
    count = 1 + size // ROOM
    for records in arrays:
        place = (records[key] >> np.uint64(bits)) % np.uint64(count)
        order = np.argsort(place, kind="stable")
        bounds = np.searchsorted(place[order], np.arange(count + 1))
        for number in np.flatnonzero(np.diff(bounds)):
            with open(folder / f"{number}", "ab") as stream:
                records[order[bounds[number] : bounds[number + 1]]].tofile(stream)
    for file in sorted(folder.iterdir()):
        yield file
        file.unlink()


def _sharing(file: Path) -> Iterator[_Array]:
    """Pairs of contents of different stories that share a gram, once for each gram that they share."""
    places = np.fromfile(file, _PLACE)
    places = places[np.lexsort((places["size"], places["content"], places["gram"]))]
    same = (places["gram"][1:] == places["gram"][:-1]) & (places["content"][1:] == places["content"][:-1])
    places = places[np.r_[True, ~same]]  # two contents with one id, which is an error, are one
    starts = np.flatnonzero(np.r_[True, places["gram"][1:] != places["gram"][:-1]])
    sizes = np.diff(np.r_[starts, len(places)])
    for size in np.unique(sizes[sizes > 1]):
        a, b = np.triu_indices(size, 1) if size <= COMMON else (np.arange(size - 1), np.arange(1, size))
        alike = starts[sizes == size]
        for some in np.array_split(alike, 1 + len(alike) * len(a) * _HELD // ROOM):
            groups = some[:, None] + np.arange(size)
            one, other = places[groups[:, a].ravel()], places[groups[:, b].ravel()]
            apart = one["story"] != other["story"]
            found = np.empty(int(apart.sum()), _PAIR)
            found["one"], found["other"] = one["content"][apart], other["content"][apart]
            found["least"] = np.minimum(one["size"], other["size"])[apart]
            yield found


def _small(file: Path) -> Iterator[Path]:
    """A file of pairs as it is or, where news is copied so much that it outgrew its room, dealt out once more."""
    size = file.stat().st_size
    if size <= 2 * ROOM:
        yield file
    else:
        yield from _dealt(_pieces(file), "one", file.with_name(f"{file.name}-again"), size, bits=32)


def _pieces(file: Path) -> Iterator[_Array]:
    with open(file, "rb") as stream:
        while len(found := np.fromfile(stream, _PAIR, ROOM // _PAIR.itemsize)):
            yield found


def _alike(file: Path) -> Iterator[tuple[int, int, float]]:
    """Pairs that share enough of their grams, and the share."""
    pairs = np.fromfile(file, _PAIR)
    pairs = pairs[np.lexsort((pairs["least"], pairs["other"], pairs["one"]))]
    new = (pairs["one"][1:] != pairs["one"][:-1]) | (pairs["other"][1:] != pairs["other"][:-1])
    starts = np.flatnonzero(np.r_[True, new])
    shares = np.diff(np.r_[starts, len(pairs)]) / pairs["least"][starts]
    pairs = pairs[starts]
    for (one, other, _), share in zip(pairs[shares >= ALIKE].tolist(), shares[shares >= ALIKE], strict=True):
        yield one, other, round(float(share), 4)


def _contents(files: Iterable[Path], wanted: set[int]) -> dict[int, Content]:
    found: dict[int, Content] = {}
    keys = pa.array(sorted(wanted), pa.uint64())
    for file in files if wanted else ():
        table = pq.read_table(file, columns=["content", *Content._fields])
        mine = table.filter(pc.is_in(table["content"], keys)).to_pylist()
        found |= {row.pop("content"): Content(**row) for row in mine}
    return found


def findings(found: Iterable[NearDuplicate], *, frozen: bool) -> Iterator[Finding]:
    """Near-duplicates across splits; an error where the splits are `frozen` in a list."""
    for pair in found:
        if pair.leaks:
            grams = f"{pair.share:.0%} of its runs of four words"
            what = f"shares {grams} with {pair.other.id}, which is in {pair.other.split}, not in {pair.one.split}"
            where = f"statement {pair.one.id.rpartition('.')[2]}"
            yield NEAR_DUPLICATE.finding(pair.one.file, where, what, severity="error" if frozen else "warning")


def csv(found: Iterable[NearDuplicate]) -> str:
    """Near-duplicates across splits as a table; empty where there are none."""
    rows = [
        f"{one.id},{one.split},{other.id},{other.split},{share}\n"
        for one, other, share in found
        if one.split != other.split
    ]
    return "".join(["one,split,other,other_split,share\n", *rows]) if rows else ""
