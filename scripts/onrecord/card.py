"""What describes a build: the card's YAML head, tables and plots between markers, and croissant.json.

Every figure is the manifest's; every sentence about the data is the card's, which Croissant quotes by section.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import yaml

from onrecord import audit, prose
from onrecord.model import (
    CLOSED_LISTS,
    CONFIGS,
    DEFAULT_CONFIG,
    LABELS,
    SCHEMAS,
    SPLITS,
    Column,
    Finding,
    Rule,
    columns,
    features,
    rules_of,
)
from onrecord.tables import MILLION

BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+)[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)

CARD_STALE = Rule("card-stale", 5, "Generated parts of the card are those of the manifest.", "run `onrecord card`")
CARD_MARKERS = Rule(
    "card-markers", 5, "Generated blocks of the card have names that `onrecord card` knows.", "mend the marker"
)
RULES = rules_of(globals())

Manifest = Mapping[str, Any]


def render(card: str, manifest: Manifest, results: Sequence[Manifest] = ()) -> str:
    """The card with its head and its generated blocks made anew. Raises KeyError for a block of unknown name.

    `results` are those of the benchmark, as schema/result.schema.json has them.
    """
    body, shown = HEAD.sub("", card), {**manifest, "results": results}
    made = BLOCK.sub(lambda block: block[1] + BLOCKS[block["name"]](shown) + block[3], body)
    return head(manifest, ABOUT) + made


def unknown_markers(card: str, file: str) -> list[Finding]:
    """The blocks of a card that `render` would not know, by line."""
    blocks = ((block["name"], card.count("\n", 0, block.start()) + 1) for block in BLOCK.finditer(card))
    return [
        CARD_MARKERS.finding(file, f"line {line}", f"no block is called {name!r}, {', '.join(BLOCKS)} are")
        for name, line in blocks
        if name not in BLOCKS
    ]


def readme(manifest: Manifest) -> str:
    """What lies beside a build that has no card of its own: the head, and counts."""
    return f"{head(manifest, {})}\n# OnRecord build\n\nMade by `onrecord build`.\n\n{counts(manifest)}"


# -- the head --------------------------------------------------------------------------------------------------

ABOUT: Mapping[str, Any] = {  # what is true of OnRecord's own corpus alone
    "pretty_name": "OnRecord",
    "license": "cc-by-4.0",
    "language": ["en"],
    "annotations_creators": ["machine-generated"],
    "language_creators": ["machine-generated"],
    "multilinguality": ["monolingual"],
    "source_datasets": ["original"],
    "task_categories": ["text-classification", "token-classification"],
    "task_ids": ["multi-class-classification"],
    "tags": ["stance-detection", "attribution", "news", "quotations", "sources", "synthetic"],
}


def head(manifest: Manifest, about: Manifest) -> str:
    """The YAML head: configurations, splits, and features whose labels `datasets` loads as ClassLabel."""
    rows = sum(split["rows"] for split in manifest["configs"].get("pairs", {"splits": {}})["splits"].values())
    data = {
        **about,
        **({"size_categories": [_size(rows)]} if about else {}),
        "configs": [_config(name, manifest["configs"][name]) for name in CONFIGS if name in manifest["configs"]],
        "dataset_info": [_info(name, manifest["configs"][name]) for name in CONFIGS if name in manifest["configs"]],
    }
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)}---\n"


def _size(rows: int) -> str:
    bounds = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    return next((name for most, name in bounds if rows < most), "n>1M")


def _config(name: str, entry: Manifest) -> dict[str, Any]:
    files = [{"split": s, "path": f"data/{name}/{s}*.parquet"} for s in SPLITS if s in entry["splits"]]
    return {"config_name": name, **({"default": True} if name == DEFAULT_CONFIG else {}), "data_files": files}


def _info(name: str, entry: Manifest) -> dict[str, Any]:
    splits = [{"name": s, "num_examples": entry["splits"][s]["rows"]} for s in SPLITS if s in entry["splits"]]
    return {"config_name": name, "features": features(name)._to_yaml_list(), "splits": splits}


# -- blocks ----------------------------------------------------------------------------------------------------


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; every column but the first aligned right."""
    lines: list[Sequence[object]] = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def counts(manifest: Manifest) -> str:
    """Stories, articles, statements and rows by split."""
    tally = manifest["counts"]
    rows: list[list[object]] = []
    for what in ("stories", "statements", "unlabelled statements"):
        if what in tally:
            rows.append([what, *(tally[what].get(split, 0) for split in SPLITS)])
    for config, entry in manifest["configs"].items():
        rows.append([f"rows of `{config}`", *(entry["splits"].get(split, {"rows": 0})["rows"] for split in SPLITS)])
    return table(["", *SPLITS], rows)


def stances(manifest: Manifest) -> str:
    """Rows of `stance` and of `pairs`, by label and split."""
    tally = manifest["counts"].get("label", {})
    header = ["stance", *SPLITS, *(f"{split} (pairs)" for split in SPLITS)]
    rows: list[list[object]] = [
        [
            label,
            *(_labels(tally, config, split, "stance", label) for config in ("stance", "pairs") for split in SPLITS),
        ]
        for label in LABELS["stance"]
    ]
    return table(header, rows)


def _labels(tally: Manifest, *path: str) -> int:
    branch: Any = tally
    for step in path:
        branch = branch.get(step, {})
    return branch or 0


def sources(manifest: Manifest) -> str:
    """Rows of `stance` by source type and stance, all splits together."""
    crosses = manifest["counts"].get("cross", {})
    rows: list[list[object]] = [
        [kind, *(sum(_labels(crosses, split, label, kind) for split in SPLITS) for label in LABELS["stance"])]
        for kind in LABELS["source_type"]
    ]
    return table(["source type", *LABELS["stance"]], rows)


def examples(manifest: Manifest) -> str:
    """A row of `stance` for each label."""
    names = ("stance", "holder", "source_type", "text", "target", "id")
    rows = [[_cell(one[name] or "") for name in names] for one in manifest.get("examples", ())]
    return table(["stance", "holder", "source type", "content", "target", "id"], rows)


def _cell(text: str) -> str:
    """Text that cannot leave its cell, nor be taken for markup."""
    return re.sub(r"([\\`*_\[\]<>|#])", r"\\\1", " ".join(text.split()))


def tags(manifest: Manifest) -> str:
    """Rows of `stance` by tag and split."""
    tally = manifest["counts"].get("tag", {})
    return table(["tag", *SPLITS], [[tag, *(_labels(tally, s, tag) for s in SPLITS)] for tag in LABELS["tag"]])


def self_consistency(manifest: Manifest) -> str:
    """How far the blind passes gave the same labels: in the open corpus, in each layer, and by stance."""
    bodies = {"open": manifest, **manifest.get("layers", {})}
    rows: list[list[object]] = [
        [f"{body}: {name.replace('_', ' ')}", entry["units"], f"{entry['unanimous']:.3f}", _alpha(entry)]
        for body, held in bodies.items()
        for name, entry in held["agreement"].items()
    ]
    labels: list[list[object]] = [
        [label, *(cell for held in bodies.values() for cell in _label_cells(held, label))]
        for label in LABELS["stance"]
    ]
    header = ["stance", *(cell for body in bodies for cell in (f"{body}: units", "same label", "α"))]
    return (
        table(["field", "units", "same label", "Krippendorff's α"], rows)
        + "\nBy stance: the units to which at least one pass gave it, the share of them on which both agreed, and α of"
        + " the label against all others:\n\n"
        + table(header, labels)
        + _spans(manifest)
        + _people(manifest)
    )


def _spans(manifest: Manifest) -> str:
    """How far other segmentation passes found the inventory's contents."""
    passes = manifest["counts"].get("spans", {})
    if not passes:
        return ""
    rows: list[list[object]] = []
    for annotator, found in passes.items():
        sizes = found["inventory"] + found["pass"]
        exact, overlap = 2 * found["exact"] / sizes, 2 * found["overlap"] / MILLION / sizes
        rows.append(
            [annotator, found["articles"], found["inventory"], found["pass"], f"{exact:.3f}", f"{overlap:.3f}"]
        )
    header = ["pass", "articles", "in the inventory", "in the pass", "exact F1", "overlap F1"]
    return "\nContents that another segmentation pass found, matched one to one:\n\n" + table(header, rows)


def _people(manifest: Manifest) -> str:
    bodies = [
        manifest["counts"].get("audit", {}),
        *(held.get("audit", {}) for held in manifest.get("layers", {}).values()),
    ]
    return "" if any("person" in body for body in bodies) else "\nHuman agreement: not measured.\n"


def audit_table(manifest: Manifest) -> str:
    """Who judged pairs beside the blind passes, and how often as gold has it: in all, and by gold's label."""
    bodies = {"open": manifest["counts"].get("audit", {})}
    bodies |= {name: held.get("audit", {}) for name, held in manifest.get("layers", {}).items()}
    rows: list[list[object]] = []
    for body, kinds in bodies.items():
        for kind, annotators in kinds.items():
            for annotator, by_gold in annotators.items():
                pairs, same, shares = audit.recalls(by_gold)
                cells = (f"{shares[label]:.3f}" if label in shares else "–" for label in LABELS["stance"])
                rows.append([f"{body}: {annotator} ({kind})", pairs, f"{same / pairs:.3f}", *cells])
    return table(["who", "pairs", "as gold", *LABELS["stance"]], rows)


def _label_cells(held: Manifest, label: str) -> tuple[object, ...]:
    entry = held["agreement"].get("stance", {}).get("labels", {}).get(label)
    return (entry["units"], f"{entry['unanimous']:.3f}", _alpha(entry)) if entry else ("–", "–", "–")


def _alpha(entry: Manifest) -> str:
    return "–" if entry["alpha"] is None else f"{entry['alpha']:.3f}"


def layers(manifest: Manifest) -> str:
    """What the layers hold, by stance."""
    held = manifest.get("layers", {})
    rows: list[list[object]] = [
        [what, *(entry[what] for entry in held.values())] for what in ("articles", "statements")
    ]
    rows += [[label, *(entry["stances"].get(label, 0) for entry in held.values())] for label in LABELS["stance"]]
    return table(["", *held], rows)


def prose_table(manifest: Manifest) -> str:
    """What each story measures as prose, with the bounds of its gates; what lies outside them is in bold."""
    bounds = {name: manifest.get("gates", {}).get(name, {}) for name in prose.MEASURES}
    rows: list[list[object]] = [
        ["quartiles asked", *(f"{bound.get('least', '–')} to {bound.get('most', '–')}" for bound in bounds.values())],
        ["corpus", *(_in_bounds(bound.get("figure"), bound) for bound in bounds.values())],
    ]
    rows += [
        [story, *(_in_bounds(measured.get(name), bounds[name]) for name in prose.MEASURES)]
        for story, measured in manifest.get("prose", {}).items()
    ]
    return table(["", *(measure.title for measure in prose.MEASURES.values())], rows)


def _in_bounds(value: float | None, bound: Manifest) -> str:
    if value is None:
        return "–"
    outside = value < bound.get("least", value) or value > bound.get("most", value)
    return f"**{value:g}**" if outside else f"{value:g}"


def leaderboard(manifest: Manifest) -> str:
    """Systems by protocol, the best first; what was scored on other test rows than this release's is refused."""
    fresh, refused = _comparable(manifest)
    parts = []
    for protocol in dict.fromkeys(one["protocol"] for one in fresh):
        mine = sorted((one for one in fresh if one["protocol"] == protocol), key=_macro_f1, reverse=True)
        rows = [[_cell(one["system"]), *map(_interval, _shown_figures(one)), one["gold"]["stories"]] for one in mine]
        parts.append(f"`{protocol}`:\n\n" + table(["system", "macro-F1", "related macro-F1", "stories"], rows))
    if refused:
        parts.append(f"Left out, for they were scored on other rows: {', '.join(map(_cell, refused))}.\n")
    return "\n".join(parts)


def _comparable(manifest: Manifest) -> tuple[list[Manifest], list[str]]:
    """Results of the stance task on this release's rows, or on those of the layers; and the names of the others."""
    own = manifest["configs"].get("stance", {"splits": {}})["splits"].get("test", {}).get("fingerprint")
    mine = [one for one in manifest["results"] if one["task"] == DEFAULT_CONFIG]
    kept = [one for one in mine if one["protocol"] == "open-to-layer" or one["gold"]["fingerprint"] == own]
    return kept, [one["system"] for one in mine if one not in kept]


def _macro_f1(result: Manifest) -> float:
    return float(result["figures"]["macro_f1"]["value"])


def _shown_figures(result: Manifest) -> tuple[Manifest, Manifest]:
    return result["figures"]["macro_f1"], result["figures"]["related_macro_f1"]


def _interval(found: Manifest) -> str:
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def plot_links(manifest: Manifest) -> str:
    """The plots, each under what it says in words."""
    return "\n".join(f"![{plot.says}]({PLOTS_FOLDER}/{name}.svg)\n" for name, plot in PLOTS.items())


BLOCKS = {
    "counts": counts,
    "stances": stances,
    "sources": sources,
    "examples": examples,
    "tags": tags,
    "layers": layers,
    "audit": audit_table,
    "prose": prose_table,
    "leaderboard": leaderboard,
    "plots": plot_links,
    "self-consistency": self_consistency,
}

# -- plots -----------------------------------------------------------------------------------------------------

PLOTS_FOLDER = "dataset/plots"
HUES: Mapping[str, str] = {  # Okabe and Ito 2008: told apart by colour-blind readers
    "affirm": "#0072B2",
    "deny": "#D55E00",
    "doubt": "#E69F00",
    "decline": "#CC79A7",
    "relay": "#009E73",
    "unrelated": "#8C8C8C",
}
_ROW, _LEFT, _WIDTH, _VALUES = 24, 130, 470, 60  # pixels


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: what it says, and its bars from a manifest, each a name and segments by stance (or one nameless)."""

    says: str
    bars: Callable[[Manifest], list[tuple[str, dict[str, float]]]]
    whole: float | None = None  # the value of a full bar; None: the longest
    ranges: Callable[[Manifest], list[tuple[float, float] | None]] = (
        lambda manifest: []
    )  # of each bar, where it has one


def plots(manifest: Manifest, results: Sequence[Manifest] = ()) -> dict[str, str]:
    """Every plot as SVG by its file name beside the card: the same bytes for the same manifest and results."""
    shown = {**manifest, "results": results}
    return {f"plots/{name}.svg": _svg(plot, plot.bars(shown), plot.ranges(shown)) for name, plot in PLOTS.items()}


def published(card: str) -> str:
    """The card as it stands in the dataset's folder, beside the plots."""
    return card.replace(f"]({PLOTS_FOLDER}/", "](plots/")


def _sources_bars(manifest: Manifest) -> list[tuple[str, dict[str, float]]]:
    crosses = manifest["counts"].get("cross", {})
    return [
        (kind, {s: sum(_labels(crosses, split, s, kind) for split in SPLITS) for s in HUES if s != "unrelated"})
        for kind in LABELS["source_type"]
    ]


def _split_bars(manifest: Manifest) -> list[tuple[str, dict[str, float]]]:
    tally = manifest["counts"].get("label", {})
    return [(split, {label: _labels(tally, "stance", split, "stance", label) for label in HUES}) for split in SPLITS]


def _depth_bars(manifest: Manifest) -> list[tuple[str, dict[str, float]]]:
    depths = manifest["counts"].get("depth", {})
    steps = sorted({depth for split in depths.values() for depth in split}, key=int)
    return [(f"depth {step}", {"": sum(_labels(depths, split, step) for split in SPLITS)}) for step in steps]


def _consistency_bars(manifest: Manifest) -> list[tuple[str, dict[str, float]]]:
    labels = manifest["agreement"].get("stance", {}).get("labels", {})
    return [(label, {label: max(labels[label]["alpha"] or 0, 0)}) for label in HUES if label in labels]


def _baseline_results(manifest: Manifest) -> list[Manifest]:
    held_out = [one for one in _comparable(manifest)[0] if one["protocol"] == "story-held-out"]
    return sorted(held_out, key=_macro_f1, reverse=True)


def _baseline_bars(manifest: Manifest) -> list[tuple[str, dict[str, float]]]:
    return [
        (one["system"].removeprefix("tfidf-"), {"": round(_macro_f1(one), 3)}) for one in _baseline_results(manifest)
    ]


def _baseline_ranges(manifest: Manifest) -> list[tuple[float, float] | None]:
    figures = [one["figures"]["macro_f1"] for one in _baseline_results(manifest)]
    return [None if found["low"] is None else (found["low"], found["high"]) for found in figures]


PLOTS: Mapping[str, Plot] = {
    "sources": Plot("Related rows of `stance` by source type and stance", _sources_bars),
    "splits": Plot("Rows of `stance` by split and stance", _split_bars),
    "consistency": Plot("Self-consistency by stance: alpha of each label against all others", _consistency_bars, 1.0),
    "baselines": Plot(
        "Macro-F1 of the baselines on the open test stories, with 95% intervals",
        _baseline_bars,
        1.0,
        _baseline_ranges,
    ),
    "depth": Plot("Statements by depth: holders between the article and the words", _depth_bars),
}


def _svg(
    plot: Plot,
    bars: Sequence[tuple[str, Mapping[str, float]]],
    ranges: Sequence[tuple[float, float] | None] = (),
) -> str:
    """Stacked horizontal bars with a legend, on a ground of their own that is legible in light and dark."""
    names = [hue for hue in HUES if any(segments.get(hue) for _, segments in bars)]
    full = plot.whole or max((sum(segments.values()) for _, segments in bars), default=0) or 1
    width, height = _LEFT + _WIDTH + _VALUES, _ROW * (len(bars) + 2) + 12
    title = html.escape(plot.says.replace("`", ""))
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = 'font-family="sans-serif" font-size="13"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font} role="img" aria-labelledby="title">',
        f'<title id="title">{title}</title>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="8" y="18" fill="#1a1a1a" font-weight="bold">{title}</text>',
        *_legend(names),
    ]
    for number, (name, segments) in enumerate(bars):
        around = ranges[number] if number < len(ranges) else None
        lines += _bar(name, segments, _ROW * (number + 2) + 4, _WIDTH / full, around)
    return "\n".join([*lines, "</svg>", ""])


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = _LEFT
    for name in names:
        yield f'<rect x="{x}" y="28" width="12" height="12" fill="{HUES[name]}"/>'
        yield f'<text x="{x + 16}" y="39" fill="#1a1a1a">{name}</text>'
        x += 32 + 7 * len(name)


def _bar(
    name: str, segments: Mapping[str, float], y: int, scale: float, around: tuple[float, float] | None
) -> Iterator[str]:
    yield f'<text x="{_LEFT - 8}" y="{y + 14}" fill="#1a1a1a" text-anchor="end">{html.escape(name)}</text>'
    x = float(_LEFT)
    for hue, value in segments.items():
        if value:
            title = html.escape(f"{name}, {hue}: {value:g}" if hue else f"{name}: {value:g}")
            fill, wide = HUES.get(hue, "#56B4E9"), value * scale
            yield f'<rect x="{x:.1f}" y="{y}" width="{wide:.1f}" height="18" fill="{fill}"><title>{title}</title></rect>'
            x += wide
    if around:
        low, high = (_LEFT + bound * scale for bound in around)
        yield f'<path d="M{low:.1f} {y + 9}H{high:.1f}M{low:.1f} {y + 4}v10M{high:.1f} {y + 4}v10" stroke="#1a1a1a"/>'
        x = max(x, high)
    yield f'<text x="{x + 6:.1f}" y="{y + 14}" fill="#1a1a1a">{sum(segments.values()):g}</text>'


# -- Croissant -------------------------------------------------------------------------------------------------

CONFORMS = ("http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0")
PARQUET = "application/x-parquet"  # what mlcroissant reads as Parquet
SECTION = re.compile(r"^#+ (?P<title>[^\n]+)\n(?P<text>.*?)(?=^#+ |\Z)", re.MULTILINE | re.DOTALL)
RAI: Mapping[str, str] = {  # property of Croissant RAI 1.0, to the card's section that answers it
    "dataCollection": "Data Collection and Processing",
    "dataPreprocessingProtocol": "Splits and sampling",
    "dataAnnotationProtocol": "Annotation process",
    "dataAnnotationAnalysis": "Self-consistency",
    "annotatorDemographics": "Who are the annotators?",
    "personalSensitiveInformation": "Personal and Sensitive Information",
    "dataUseCases": "Direct Use",
    "dataSocialImpact": "Out-of-Scope Use",
    "dataBiases": "Biases",
    "dataLimitations": "Limitations",
    "dataReleaseMaintenancePlan": "Versions and maintenance",
}
_LISTS = {"dataCollectionType": ["Software Collection"], "machineAnnotationTools": ["a large language model"]}
_PLURAL = (
    "dataPreprocessingProtocol", "dataAnnotationProtocol", "dataAnnotationAnalysis", "annotatorDemographics",
    "personalSensitiveInformation", "dataUseCases", "dataBiases", "dataLimitations",
)  # fmt: skip


def croissant(manifest: Manifest, card: str | None = None) -> str:
    """croissant.json: files, record sets with their fields and labels, and what the card says of the data."""
    configs = [name for name in CONFIGS if name in manifest["configs"]]
    data = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": list(CONFORMS),
        "name": "OnRecord" if card else "OnRecord build",
        "description": _SUMMARY if card else "Annotated news articles as tables, made by `onrecord build`.",
        "version": manifest["onrecord"],
        **(_own(card) if card else {}),
        "distribution": [*_file_objects(manifest), *(_file_set(name) for name in configs)],
        "recordSet": [*(_label_set(name) for name in CLOSED_LISTS), *(_record_set(name) for name in configs)],
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _own(card: str) -> dict[str, Any]:
    return {
        "license": "https://creativecommons.org/licenses/by/4.0/",
        "creator": {"@type": "sc:Organization", "name": "The OnRecord authors"},
        "citeAs": "Cite as CITATION.cff of the repository says, with the version.",
        "inLanguage": ABOUT["language"],
        "keywords": ABOUT["tags"],
        **{f"rai:{name}": value for name, value in _LISTS.items()},
        **_quoted(card),
    }


def _quoted(card: str) -> dict[str, Any]:
    """The card's sections as RAI properties, without what is generated in them."""
    texts = {found["title"]: BLOCK.sub("", found["text"]).strip() for found in SECTION.finditer(card)}
    found = {name: texts[title] for name, title in RAI.items() if texts.get(title)}
    return {f"rai:{name}": [text] if name in _PLURAL else text for name, text in found.items()}


def _file_objects(manifest: Manifest) -> list[dict[str, Any]]:
    return [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name.rpartition("/")[2],
            "contentUrl": name,
            "encodingFormat": PARQUET,
            "sha256": entry["sha256"],
        }
        for name, entry in manifest["files"].items()
        if name.endswith(".parquet")
    ]


def _file_set(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{config}-files",
        "name": f"{config}-files",
        "encodingFormat": PARQUET,
        "includes": f"data/{config}/*.parquet",
    }


def _label_set(name: str) -> dict[str, Any]:
    """A closed list as records: what a label is called, and what it means."""
    key = f"label-{name}"
    texts = ("name", "title", "description")
    return {
        "@type": "cr:RecordSet",
        "@id": key,
        "name": key,
        "description": f"The labels of `{name}` in their order.",
        "dataType": "sc:Enumeration",
        "key": {"@id": f"{key}/name"},
        "field": [{"@type": "cr:Field", "@id": f"{key}/{t}", "name": t, "dataType": "sc:Text"} for t in texts],
        "data": [{f"{key}/{t}": getattr(label, t) for t in texts} for label in CLOSED_LISTS[name]],
    }


def _record_set(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": config,
        "name": config,
        "description": SCHEMAS["release"]["$defs"]["configs"][config]["description"],
        "key": {"@id": f"{config}/id"},
        "field": [_split_field(config), *(_field(config, column) for column in columns(config))],
    }


def _split_field(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{config}/split",
        "name": "split",
        "description": f"One of {', '.join(SPLITS)}: the first part of the file's name.",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": f"{config}-files"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": f"({'|'.join(SPLITS)}).*"},
        },
    }


def _field(config: str, column: Column) -> dict[str, Any]:
    made: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{config}/{column.name}",
        "name": column.name,
        "description": column.description,
    }
    source = {"fileSet": {"@id": f"{config}-files"}, "extract": {"column": column.name}}
    if not pa.types.is_list(column.type):
        return {**made, "dataType": _data_type(column.type), "source": source}
    made |= {"isArray": True, "arrayShape": "-1"}
    item = column.type.value_type
    if not pa.types.is_struct(item):
        return {**made, "dataType": _data_type(item), "source": source}
    parts = [
        {
            "@type": "cr:Field",
            "@id": f"{config}/{column.name}/{part.name}",
            "name": part.name,
            "dataType": _data_type(part.type),
            "source": {**source, "transform": {"jsonPath": part.name}},
        }
        for part in item
    ]
    return {**made, "subField": parts}


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return "sc:Integer"
    return "sc:Float" if pa.types.is_floating(kind) else "sc:Text"


_SUMMARY = (
    "Statements in news articles: who says what about a disputed proposition, with what stance (affirm, deny, doubt, "
    "decline, relay, unrelated) and in what capacity. Texts and labels were made by a large language model."
)
_CONTEXT: Mapping[str, Any] = {  # of Croissant 1.1, as the specification gives it
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
