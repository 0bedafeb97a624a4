"""A stub of the Hugging Face Hub on the loopback: dataset repositories in memory, as far as an upload and a load ask."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

API = re.compile(r"/api/datasets/(?P<repo>[^/]+/[^/]+)(?:/(?P<what>[a-z-]+))?(?:/(?P<rev>[^/]+))?(?:/(?P<path>.*))?")
FILE = re.compile(r"/datasets/(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.*)")


@dataclass
class Repository:
    files: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    oid: str = "0" * 40


class Hub(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, Repository] = {}
        self.refusing = False  # to tell anything
        self.endpoint = f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def running() -> Iterator[Hub]:
    hub = Hub()
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()


def oid(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, data: bytes, code: int = 200, *, plain: bool = True, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Type", "application/json" if plain else "application/octet-stream")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def give(self, data: Any) -> None:
        self.answer(json.dumps(data).encode())

    def missing(self, what: str) -> None:
        self.answer(b'{"error": "not found"}', 404, X_Error_Code=what)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self) -> None:
        path, sent = unquote(urlsplit(self.path).path), self.body()
        if path == "/api/validate-yaml":
            return self.give({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(sent)
            name = f"{asked.get('organization') or 'someone'}/{asked['name']}"
            self.server.repositories.setdefault(name, Repository())
            return self.give({"url": f"{self.server.endpoint}/datasets/{name}", "name": name, "id": "1"})
        found = API.fullmatch(path)
        repo = self.server.repositories.get(found["repo"]) if found else None
        if found is None or repo is None:
            return self.missing("RepoNotFound")
        if found["what"] == "preupload":
            files = json.loads(sent)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
            return self.give({"files": modes})
        if found["what"] == "commit":
            return self.commit(found["repo"], repo, [json.loads(line) for line in sent.splitlines()])
        if found["what"] == "tag":
            repo.tags[json.loads(sent)["tag"]] = found["rev"]
            return self.give({})
        if found["what"] == "paths-info":
            paths = json.loads(sent)["paths"] if sent[:1] == b"{" else parse_qs(sent.decode())["paths"]
            return self.give([entry for name in paths for entry in entries(repo) if entry["path"] == name])
        return self.missing("EntryNotFound")

    def commit(self, name: str, repo: Repository, lines: list[dict[str, Any]]) -> None:
        for line in lines:
            if line["key"] == "file":
                repo.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            elif line["key"] == "deletedFile":
                del repo.files[line["value"]["path"]]
        repo.oid = oid(json.dumps(sorted(repo.files)).encode())
        url = f"{self.server.endpoint}/datasets/{name}/commit/{repo.oid}"
        self.give({"success": True, "commitOid": repo.oid, "commitUrl": url, "hookOutput": ""})

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if self.server.refusing:
            return self.answer(b'{"error": "not yours"}', 403)
        if found := FILE.fullmatch(path):
            return self.file(found)
        found = API.fullmatch(path)
        repo = self.server.repositories.get(found["repo"]) if found else None
        if found is None or repo is None:
            return self.missing("RepoNotFound")
        if found["what"] == "refs":
            tags = [{"name": t, "ref": f"refs/tags/{t}", "targetCommit": at} for t, at in repo.tags.items()]
            main = {"name": "main", "ref": "refs/heads/main", "targetCommit": repo.oid}
            return self.give({"branches": [main], "tags": tags, "converts": []})
        if found["what"] == "tree":
            return self.tree(repo, found["path"] or "")
        if found["what"] not in (None, "revision"):
            return self.missing("EntryNotFound")
        return self.give(
            {"id": found["repo"], "sha": repo.oid, "private": False, "gated": False, "disabled": False, "tags": [],
             "downloads": 0, "likes": 0, "siblings": [{"rfilename": name} for name in sorted(repo.files)]}
        )  # fmt: skip

    def do_HEAD(self) -> None:
        self.do_GET()

    def tree(self, repo: Repository, folder: str) -> None:
        deep = "recursive=true" in self.path.lower()
        below = [entry for entry in entries(repo) if not folder or entry["path"].startswith(f"{folder}/")]
        depth = folder.count("/") + 1 if folder else 0
        return self.give([entry for entry in below if deep or entry["path"].count("/") == depth])

    def file(self, found: re.Match[str]) -> None:
        repo = self.server.repositories.get(found["repo"])
        data = repo.files.get(found["path"]) if repo else None
        if repo is None or data is None:
            return self.missing("EntryNotFound" if repo else "RepoNotFound")
        headers = {"ETag": f'"{oid(data)}"', "X_Repo_Commit": repo.oid, "Accept_Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not span:
            return self.answer(data, plain=False, **headers)
        start, end = int(span[1]), min(int(span[2] or len(data) - 1), len(data) - 1)
        headers["Content_Range"] = f"bytes {start}-{end}/{len(data)}"
        return self.answer(data[start : end + 1], 206, plain=False, **headers)


def entries(repo: Repository) -> list[dict[str, Any]]:
    """Files and the folders over them, as the Hub lists them."""
    folders = {name.rsplit("/", n)[0] for name in repo.files for n in range(1, name.count("/") + 1)}
    return [
        *({"type": "directory", "path": name, "oid": oid(name.encode()), "size": 0} for name in sorted(folders)),
        *({"type": "file", "path": name, "oid": oid(d), "size": len(d)} for name, d in sorted(repo.files.items())),
    ]
