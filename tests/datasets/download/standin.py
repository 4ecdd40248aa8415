"""Servers on loopback that answer as the hub and Roboflow do, and fail on purpose."""

from __future__ import annotations

import hashlib
import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "0123456789abcdef0123456789abcdef01234567"
KEY = "rf-Secret-Key"


class StandIn(ThreadingHTTPServer):
    """Serves files.

    Attributes:
        files: by path (``/GLIPModel/GLIP/resolve/REVISION/odinw_35/Raccoon.zip`` counts as ``odinw_35/Raccoon.zip``).
        hashes: what the hub says of a file's SHA-256, where that is not the truth.
        cut_after: the next download of a file ends after so many bytes, and the server is out of order from then
            on; None: it works.
        out_of_order: every download is refused.
        asked: (method, path, range) of every request.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.hashes: dict[str, str] = {}
        self.json: dict[str, object] = {}
        self.cut_after: int | None = None
        self.out_of_order = False
        self.asked: list[tuple[str, str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_POST(self) -> None:
        self._json({"workspace": "someone"})

    def _answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        self.server.asked.append((self.command, self.path, self.headers.get("Range")))
        name = re.sub(r"^/[^/]+/[^/]+/resolve/[^/]+/", "", path).replace("%20", " ")
        if path in self.server.json:
            self._json(self.server.json[path])
        elif name in self.server.files:
            self._file(name, body=body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _json(self, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _file(self, name: str, *, body: bool) -> None:
        data = self.server.files[name]
        start = 0
        if body and self.server.out_of_order:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = re.fullmatch(r"bytes=(\d+)-\d*", self.headers.get("Range") or "")
        if asked:
            start = int(asked.group(1))
        self.send_response(206 if asked else 200)
        digest = self.server.hashes.get(name) or hashlib.sha256(data).hexdigest()
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("X-Linked-Etag", f'"{digest}"')
        self.send_header("X-Linked-Size", str(len(data)))
        self.send_header("ETag", f'"{digest}"')
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        if not body:
            return
        cut = self.server.cut_after
        if cut is not None:
            self.server.out_of_order = True
            self.wfile.write(data[start : start + cut])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return
        self.wfile.write(data[start:])

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[StandIn]:
    """A server while the block runs."""
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def packed(files: dict[str, bytes]) -> bytes:
    """A zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def serve_roboflow(server: StandIn, workspace: str, project: str, version: int, export: bytes) -> None:
    """Answer as Roboflow does for one version of one project."""
    reported = {
        "id": f"{workspace}/{project}/{version}",
        "name": "v",
        "created": 1,
        "images": 3,
        "splits": {},
        "augmentation": {},
        "preprocessing": {},
        "exports": ["coco"],
        "model": None,
        "generating": False,
        "progress": 1,
    }
    about = {"id": f"{workspace}/{project}", "name": project, "annotation": "x", "classes": {}, "colors": {}}
    about |= {"created": 1, "updated": 1, "images": 3, "public": True, "splits": {}, "type": "object-detection"}
    about |= {"unannotated": 0}
    server.json |= {
        f"/{workspace}": {"workspace": {"name": workspace, "url": workspace, "members": [], "projects": [about]}},
        f"/{workspace}/{project}": {"workspace": {}, "project": about, "versions": [reported]},
        f"/{workspace}/{project}/{version}": {"version": reported},
        f"/{workspace}/{project}/{version}/coco": {"export": {"link": f"{server.url}/export.zip?key={KEY}"}},
    }
    server.files["/export.zip"] = export
