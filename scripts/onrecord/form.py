"""Level 1: whether a value has the form that its schema names; and where not, what is wrong in a newcomer's words.

`jsonschema_rs` gives the verdict, in microseconds; `jsonschema` is asked only about what is wrong in a value that
failed, and gives the verdict too where the other has no wheel. A test holds both to the same verdicts.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jsonschema
import referencing
from referencing.jsonschema import DRAFT202012

from onrecord import text as strings
from onrecord.formats import own
from onrecord.model import SCHEMAS, Finding, Rule, Unusable, rules_of

try:
    import jsonschema_rs
except ImportError:  # no wheel for this platform
    jsonschema_rs = None  # type: ignore[assignment]

MOST_COMPARED, LONGEST_COMPARED = 100, 100  # words, and characters of one, for a "did you mean"
KINDS = ("article", "story", "contrast", "annotators", "gates")  # the schemas of what people write

MISSING_FIELD = Rule("missing-field", 1, "Every required field is there.", "add it; schema/README.md describes it")
UNKNOWN_FIELD = Rule(
    "unknown-field", 1, "No object holds a field that the schema does not know.", "mend its name, or delete it"
)
UNKNOWN_LABEL = Rule(
    "unknown-label", 1, "Every label is one of its closed list.", "use one of the list in schema/README.md"
)
WRONG_TYPE = Rule("wrong-type", 1, "Every value has the type that the schema names.", "write it in that type")
BAD_VALUE = Rule(
    "bad-value",
    1,
    "Every value has the form and the bounds that the schema names.",
    "mend it; schema/README.md gives examples",
)
ONE_PLACE = Rule(
    "one-place",
    1,
    "A statement has either a marked quote or spans; an article either a text or a reference.",
    "keep one of the two",
)
RULES = rules_of(globals())

# -- verdicts --------------------------------------------------------------------------------------------------


def _whole_match(
    validator: object, pattern: str, instance: object, schema: object
) -> Iterator[jsonschema.ValidationError]:
    """`pattern` as the standard means it: Python's `$` would let a trailing newline pass."""
    if isinstance(instance, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), instance):
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")


def _explainers() -> dict[str, Any]:
    kind = jsonschema.validators.extend(jsonschema.Draft202012Validator, {"pattern": _whole_match})  # type: ignore[no-untyped-call]
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(
        (f"{name}.schema.json", DRAFT202012.create_resource(schema)) for name, schema in SCHEMAS.items()
    )
    return {name: kind(SCHEMAS[name], registry=registry) for name in KINDS}


def verdict(kind: str, *, fast: bool = jsonschema_rs is not None) -> Callable[[object], bool]:
    """What says whether a value follows the schema of its kind."""
    if not fast:
        slow: Callable[[object], bool] = _EXPLAIN[kind].is_valid
        return slow
    registry = jsonschema_rs.Registry([(f"{name}.schema.json", schema) for name, schema in SCHEMAS.items()])
    quick: Callable[[object], bool] = jsonschema_rs.Draft202012Validator(
        dict(SCHEMAS[kind]), registry=registry
    ).is_valid
    return quick


_EXPLAIN = _explainers()
_VERDICT = {kind: verdict(kind) for kind in KINDS}


def judge(kind: str, data: Mapping[str, Any], file: str) -> list[Finding]:
    """What in `data` does not follow the schema of its kind."""
    if _VERDICT[kind](data):
        return []
    found = [_explain(leaf, data, file) for error in _EXPLAIN[kind].iter_errors(data) for leaf in _leaves(error)]
    return list(dict.fromkeys(found)) or [BAD_VALUE.finding(file, "$", "does not follow the schema")]


def parse(kind: str, text: str, file: str) -> tuple[dict[str, Any], list[Finding]]:
    """A JSON file of our own that follows the schema of its kind; empty where it does not, with the reasons."""
    try:
        data = own.parse_json(text, file)
    except Unusable as error:
        return {}, [error.finding]
    findings = judge(kind, data, file)
    return ({} if findings else data), findings


# -- what is wrong ---------------------------------------------------------------------------------------------


def _leaves(error: jsonschema.ValidationError) -> Iterator[jsonschema.ValidationError]:
    """Where only one branch of an alternative can have been meant, that branch's errors; else the error itself."""
    schema: Any = error.schema
    branches = schema.get("oneOf", ())
    if error.validator == "oneOf" and "required" in branches[0] and not isinstance(error.instance, dict):
        return  # its type is at fault, and said to be
    if error.validator != "oneOf" or not error.context or not any("$ref" in branch for branch in branches):
        yield error
        return
    meant = len(branches) - 1 if isinstance(error.instance, dict) else 0  # an anchor is an object, a span an array
    for inner in error.context:
        if inner.schema_path[0] == meant:
            inner.parent = error
            yield inner


def _explain(error: jsonschema.ValidationError, data: Mapping[str, Any], file: str) -> Finding:
    value: Any = error.instance
    shown = show(value)
    schema: Any = error.schema
    asked: Any = error.validator_value
    match error.validator:
        case "required":
            missing = [f"`{name}`" for name in asked if name not in value]
            rule, what = MISSING_FIELD, f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
        case "additionalProperties":
            known = schema.get("properties", {})
            extra = [f"`{name}` is no field{did_you_mean(name, known)}" for name in sorted(set(value) - set(known))]
            rule, what = UNKNOWN_FIELD, " and ".join(extra[:5])
        case "oneOf" if labels := [branch["const"] for branch in asked if "const" in branch]:
            rule, what = UNKNOWN_LABEL, f"{shown} is no {_title(schema)}{did_you_mean(value, labels)}"
        case "oneOf":
            both = all(set(branch["required"]) <= set(value) for branch in asked)
            names = [f"`{name}`" for branch in asked for name in branch["required"]]
            rule, what = (
                ONE_PLACE,
                f"holds {'both' if both else 'neither'} {(' and ' if both else ' nor ').join(names)}",
            )
        case "type":
            rule, what = WRONG_TYPE, f"{shown} is not {_an(str(asked))}"
        case _:
            rule, what = BAD_VALUE, f"{shown} {_unfit(str(error.validator), asked, schema)}"
    path = list(error.absolute_path)
    return rule.finding(file, strings.json_path(path), what, statement=_statement_at(path, data))


def show(value: object) -> str:
    """A value as JSON has it, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """The known word that is nearest, as a question; nothing where none is near, or too many would be compared."""
    known = list(known)
    if len(known) > MOST_COMPARED or len(str(word)) > LONGEST_COMPARED:
        return ""
    close = difflib.get_close_matches(str(word).lower(), known, 1, 0.6)
    return f", did you mean `{close[0]}`?" if close else ""


def _an(kind: str) -> str:
    return {"array": "an array", "object": "an object", "integer": "a whole number", "boolean": "true or false"}.get(
        kind, f"a {kind}"
    )


def _title(schema: Mapping[str, Any]) -> str:
    title = str(schema.get("title", "such value"))
    return title if title.isupper() else title.lower()


def _unfit(validator: str, asked: Any, schema: Mapping[str, Any]) -> str:
    match validator:
        case "minimum" | "maximum":
            return f"is {'below' if validator == 'minimum' else 'above'} {asked:,}"
        case "minLength" | "minItems" | "minProperties" if asked == 1:
            return "is empty"
        case "maxLength":
            return f"is longer than {asked:,} characters"
        case "uniqueItems":
            return "holds an item twice"
    return (
        f"is not written like {show(schema['examples'][0])}" if schema.get("examples") else f"is no {_title(schema)}"
    )


def _statement_at(path: list[Any], data: Mapping[str, Any]) -> str | None:
    """The statement within which an address lies, where leaving it out would mend an imported article."""
    if len(path) > 1 and path[0] == "statements":
        found = data["statements"][path[1]]
        return str(found["id"]) if isinstance(found, dict) and isinstance(found.get("id"), str) else None
    return None
