"""Files as bytes and text: what every reader needs before it can ask what a file means."""

from __future__ import annotations

import glob
import hashlib
import os
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from onrecord.model import Rule, Unusable, rules_of

LARGEST = 256 * 1024 * 1024  # bytes of one text or annotation file; bulk lines have their own bound

UNREADABLE = Rule("unreadable", 1, "Every file of an input can be read.", "restore the file, or its permission")
NOT_A_FILE = Rule(
    "not-a-file", 1, "An input is a folder, a .json, a .jsonl or an .ann file.", "rename it, or name the right one"
)
EMPTY_INPUT = Rule(
    "empty-input",
    1,
    "An input holds at least one annotated article.",
    "name the folder that holds story.json, .ann or .jsonl files",
)
EMPTY_FILE = Rule("empty-file", 1, "No file is empty.", "restore its content, or delete it")
TOO_LARGE = Rule("too-large", 1, "No single file is larger than 256 MiB.", "split it, or use JSON lines")
NOT_UTF8 = Rule("not-utf8", 1, "Files are UTF-8.", "save it as UTF-8")
BYTE_ORDER_MARK = Rule("byte-order-mark", 1, "No file starts with a byte order mark.", "save it as UTF-8 without BOM")
CARRIAGE_RETURN = Rule(
    "carriage-return",
    1,
    "Lines end in LF alone, so that offsets and digests are the same for everybody.",
    "save it with LF line ends",
)
NUL = Rule("nul-character", 1, "No file holds a NUL character.", "delete it; the file may be truncated or binary")
RULES = rules_of(globals())


@dataclass(frozen=True, slots=True, order=True)
class Unit:
    """The smallest piece of an input that can be read alone.

    `names` are the files' names below the input, for people and for the manifest; `span` is a byte range of a
    JSON-lines file.
    """

    story: str  # the id it sorts by; of JSON lines the file's name
    span: tuple[int, int]
    format: str
    files: tuple[str, ...]
    names: tuple[str, ...]
    size: int
    line: int = 1  # of the file, at which a span starts

    @classmethod
    def of(cls, format: str, story: str, files: list[Path], root: Path, span: tuple[int, int] | None = None) -> Unit:
        size = sum(os.path.getsize(file) for file in files if file.is_file())
        names = tuple(named(os.path.relpath(file, root)) for file in files)  # ../text stands beside root
        return cls(
            story, span or (0, size), format, tuple(map(str, files)), names, span[1] - span[0] if span else size
        )


def named(path: str | Path) -> str:
    """A path as people and manifests name it: parted by slashes, bytes that are no UTF-8 escaped."""
    return Path(path).as_posix().encode("utf-8", "backslashreplace").decode("utf-8")


def read_bytes(file: str) -> bytes:
    """A file's bytes. Raises Unusable where it cannot be read, is empty, or is too large."""
    try:
        if os.path.getsize(file) > LARGEST:
            raise Unusable(TOO_LARGE.finding(file, "", f"has {os.path.getsize(file):,} bytes"))
        if not os.path.isfile(file):  # a pipe would let us wait for ever
            raise Unusable(UNREADABLE.finding(file, "", "is a folder or a device with the name of a file"))
        data = Path(file).read_bytes()
    except OSError as error:
        what = "is a link to nothing" if os.path.islink(file) and not os.path.exists(file) else error.strerror
        raise Unusable(UNREADABLE.finding(file, "", f"{what}")) from error
    if not data:
        raise Unusable(EMPTY_FILE.finding(file, "", "is empty"))
    return data


def decode(data: bytes, file: str, *, imported: bool = False) -> str:
    """Bytes as text; an imported file may start with a byte order mark and end lines in CR LF. Raises Unusable."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unusable(NOT_UTF8.finding(file, "", "is UTF-16 by its byte order mark"))
    if data.startswith(b"\xef\xbb\xbf"):
        if not imported:
            raise Unusable(BYTE_ORDER_MARK.finding(file, "", "starts with a byte order mark"))
        data = data[3:]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{data[error.start]:02x} is not UTF-8 (Latin-1, or a file cut off?)"
        raise Unusable(NOT_UTF8.finding(file, f"line {line}", what)) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise Unusable(NUL.finding(file, f"line {line}", "holds a NUL character"))
    if "\r" in text and not imported:
        line = text.count("\n", 0, text.index("\r")) + 1
        raise Unusable(CARRIAGE_RETURN.finding(file, f"line {line}", "holds a carriage return"))
    return text


def put(file: Path, text: str) -> None:
    """Put a file in the place of what stands there, be it a link: whole, or not at all. Raises OSError."""
    for left in file.parent.glob(f".{glob.escape(file.name)}.*.new"):  # by a run that was killed
        left.unlink(missing_ok=True)
    handle, beside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".new")
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(beside, 0o644)
        os.replace(beside, file)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def digest(*parts: bytes) -> str:
    """SHA-256 over the parts, each with its length, in hexadecimal."""
    total = sha256()
    for part in parts:
        total.update(len(part).to_bytes(8, "big"))
        total.update(part)
    return total.hexdigest()


def file_digest(file: str) -> str:
    """SHA-256 of a file's bytes, in hexadecimal. Raises OSError."""
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def span_digest(file: str, span: tuple[int, int]) -> str:
    """SHA-256 of a range of a file's bytes, in hexadecimal. Raises OSError."""
    total, (at, end) = sha256(), span
    with open(file, "rb") as stream:
        stream.seek(at)
        while block := stream.read(min(1 << 20, end - stream.tell())):
            total.update(block)
    return total.hexdigest()
