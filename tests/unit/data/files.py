"""Files of every format, small enough to write in a test, and a mirror to serve them."""

import contextlib
import gzip
import hashlib
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np

from elbax.data.registry import DataSource, SourceFile


def idx_bytes(array: np.ndarray) -> bytes:
    header = b"\x00\x00\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(np.uint8).tobytes()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_source(name: str, *forms: tuple[SourceFile, ...], **changes) -> DataSource:
    values = {
        "name": name,
        "description": "A set for tests.",
        "folder": name,
        "forms": forms,
        "num_train": 6,
        "num_test": 4,
        "num_valid": 0,
        "event_shape": (2, 3),
        "levels": 255.0,
        "binarise": "dynamic",
        "licence": "none",
        "citation": "nobody",
    }
    return DataSource(**(values | changes))


class TinyIdx:
    """A set of two gzipped idx files of images, in the registry as "tiny"."""

    def __init__(self, urls: tuple[str, ...] = ("http://127.0.0.1:9",)):
        rng = np.random.default_rng(0)
        self.arrays = {
            "train_images": rng.integers(0, 256, (6, 2, 3), np.uint8),
            "test_images": rng.integers(0, 256, (4, 2, 3), np.uint8),
        }
        self.plain = {f"{role}.idx": idx_bytes(array) for role, array in self.arrays.items()}
        self.packed = {f"{n}.gz": gzip.compress(data, mtime=0) for n, data in self.plain.items()}
        self.source = make_source(
            "tiny",
            tuple(
                SourceFile(
                    role=role,
                    names=(f"{role}.idx.gz", f"{role}.idx"),
                    hashes=(f"sha256:{sha256(self.packed[f'{role}.idx.gz'])}",),
                    urls=tuple(f"{url}/{role}.idx.gz" for url in urls),
                    contents=sha256(self.plain[f"{role}.idx"]),
                )
                for role in self.arrays
            ),
            nested=("TINY/raw",),
        )

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in self.packed.items():
            (folder / name).write_bytes(data)
        return folder


def status(code: int):
    """An answer: a failure."""
    return lambda handler: handler.send_error(code)


def sent(body: bytes, *, code: int = 200, length: int | None = None, **headers: str):
    """An answer: these bytes, under these headers."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


class Mirror:
    """A web server on this machine: path -> (body, declared length), or what answers instead."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[bytes, int]] = {}
        self.answers: dict[str, list[Callable[[BaseHTTPRequestHandler], None]]] = {}
        self.asked: list[str] = []
        self.ranges: list[str | None] = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mirror.asked.append(self.path)
                mirror.ranges.append(self.headers["Range"])
                if mirror.answers.get(self.path):
                    with contextlib.suppress(OSError):  # whoever asked has gone
                        mirror.answers[self.path].pop(0)(self)
                    return
                if self.path not in mirror.files:
                    self.send_error(404)
                    return
                body, length = mirror.files[self.path]
                self.send_response(200)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def serve(self, path: str, body: bytes, length: int | None = None) -> None:
        self.files[path] = (body, len(body) if length is None else length)

    def answer(self, path: str, *answers: Callable[[BaseHTTPRequestHandler], None]) -> None:
        """What answers the next requests for a path, one each, before the file itself does."""
        self.answers[path] = list(answers)

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
