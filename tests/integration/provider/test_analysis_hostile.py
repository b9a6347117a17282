"""Documents made to hang or starve whoever reads them, through a real worker process with its real limits.

What is promised of every document: it ends within its time-out (and what it takes to kill and answer), worker and
Ghostscript stay within their memory, its facts are those stated here, and the next document is counted exactly.
"""

import asyncio
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from backend.wire.jobs import JobFacts
from provider.analysis.ghostscript import MEMORY_BYTES
from provider.analysis.ticket import AnalysisRequest
from provider.analysis.worker import MEMORY_ALLOWANCE_BYTES, Analyser
from provider.settings import AnalysisSection
from tests.support.documents import GREY, RED, write_pdf

FAST_S = 2.0
GRACE_S = 30.0  # on a machine under load: to kill, to start a worker, to answer
PLAIN = AnalysisRequest()
PWG_HEADER = 1796
PXL_HEADER = b") HP-PCL XL;2;0\n"


def pdf_of(*objects: bytes, root: int = 1) -> bytes:
    body = b"".join(b"%d 0 obj%bendobj\n" % (number, text) for number, text in enumerate(objects, 1))
    return b"%%PDF-1.4\n%btrailer<</Root %d 0 R/Size %d>>\n%%%%EOF" % (body, root, len(objects) + 1)


def cyclic_page_tree() -> bytes:
    """A tree that is its own child, with one page beside it."""
    return pdf_of(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 2>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>",
    )


def deep_page_tree(levels: int = 20_000) -> bytes:
    trees = [b"<</Type/Pages/Kids[%d 0 R]/Count 1>>" % (number + 3) for number in range(levels)]
    return pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", *trees, b"<</Type/Page/MediaBox[0 0 595 842]>>")


def deep_arrays(levels: int = 200_000) -> bytes:
    return pdf_of(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/X " + b"[" * levels + b"]" * levels + b">>",
    )


def flate_bomb(gigabytes: int = 2) -> bytes:
    """A page's content that grows a thousand times over, twice."""
    packer = zlib.compressobj(9)
    zeros = bytes(1 << 20)
    once = b"".join(packer.compress(zeros) for _ in range(gigabytes << 10)) + packer.flush()
    twice = zlib.compress(once, 9)
    return pdf_of(
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R>>",
        b"<</Length %d/Filter[/FlateDecode/FlateDecode]>>stream\n%b\nendstream " % (len(twice), twice),
    )


def many_pages(pages: int = 100_000) -> bytes:
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(pages))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>"
    tree = b"<</Type/Pages/Kids[%b]/Count %d>>" % (kids, pages)
    return pdf_of(b"<</Type/Catalog/Pages 2 0 R>>", tree, *[page] * pages)


def raster_header(width: int, height: int) -> bytes:
    """A page of PWG raster, 8 bits of grey a pixel, at 600 dpi."""
    header = bytearray(PWG_HEADER)
    header[:9] = b"PwgRaster"
    struct.pack_into(">2I", header, 276, 600, 600)
    struct.pack_into(">2I", header, 352, 595, 842)
    struct.pack_into(">2I", header, 372, width, height)
    struct.pack_into(">5I", header, 384, 8, 8, width, 0, 18)
    struct.pack_into(">I", header, 420, 1)
    return bytes(header)


def sparse_raster(path: Path) -> None:
    """2 GB of nothing behind one header: each two bytes of it are a line's beginning."""
    with open(path, "wb") as file:
        file.write(b"RaS2" + raster_header(4960, 7016))
        file.truncate(2 << 30)


def written(content: Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda path: (path.write_bytes(content()), None)[1]


FAST: dict[str, tuple[Callable[[Path], None], int, bool]] = {
    "a cyclic page tree": (written(cyclic_page_tree), 1, True),
    "a page tree 20,000 deep": (written(deep_page_tree), 23, True),
    "arrays 200,000 deep": (written(deep_arrays), 1, True),
    "a raster page beyond reason": (written(lambda: b"RaS2" + raster_header(1 << 31, 1 << 31) + bytes(99)), 1, True),
    "a PCL row longer than the document": (written(lambda: b"\x1bE\x1b*r1A\x1b*b999999999W\xff\x0c\x1bE"), 1, False),
    "PCL of numbers without end": (
        written(lambda: b"\x1bE\x1b&l" + b"9" * 300_000 + b"X\x1b*b1W\xff\x0c"),
        9999,
        False,
    ),
    "PCL copies without end": (written(lambda: b"\x1bE\x1b&l999999999Xa\x0c\x1bE"), 9999, False),
    "a PCL XL block of 4 GB": (written(lambda: PXL_HEADER + b"\x43\xfa\xff\xff\xff\xff" + bytes(99)), 1, False),
    "a PCL XL array without end": (written(lambda: PXL_HEADER + b"\x43\xc8\xc1\xff\xff" + bytes(99)), 1, False),
    "PostScript without end": (written(lambda: b"%!PS\nshowpage {} loop\n"), 1, True),
}
SLOW: dict[str, tuple[Callable[[Path], None], int, bool]] = {
    "100,000 pages": (written(many_pages), 100_000, True),
    "a flate bomb of 2 GB": (written(flate_bomb), 1, True),
    "a sparse raster of 2 GB": (sparse_raster, 1, True),
    "PostScript that eats memory": (
        written(lambda: b"%!PS\nshowpage /a 9 array def { /a [a 60000 string] def } loop\n"), 1, True
    ),
}  # fmt: skip


class Memory:
    """The most that a worker and its Ghostscript had of their own; pages of the mapped document are not theirs."""

    def __init__(self) -> None:
        self.worker = 0
        self.ghostscript = 0

    def look(self, pid: int) -> None:
        self.worker = max(self.worker, _own_bytes(pid))
        for child in _read(f"/proc/{pid}/task/{pid}/children").split():
            self.ghostscript = max(self.ghostscript, _own_bytes(int(child)))


def _own_bytes(pid: int) -> int:
    lines = (line.split() for line in _read(f"/proc/{pid}/status").splitlines())
    return next((int(words[1]) << 10 for words in lines if words[0] == "RssAnon:"), 0)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):  # it has ended
        return ""


@contextmanager
def watched(analyser: Analyser) -> Iterator[Memory]:
    memory, over = Memory(), Event()

    def watch() -> None:
        while not over.wait(0.02):
            for pid in analyser.pids:
                memory.look(pid)

    with ThreadPoolExecutor(1) as thread:
        watching = thread.submit(watch)
        try:
            yield memory
        finally:
            over.set()
    watching.result()


async def _analyse(analyser: Analyser, path: Path, timeout_s: float) -> JobFacts:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return await analyser.analyse(descriptor, PLAIN, timeout_s)
    finally:
        os.close(descriptor)


async def survive(
    folder: Path, documents: dict[str, tuple[Callable[[Path], None], int, bool]], timeout_s: float
) -> None:
    small = write_pdf(folder / "small.pdf", [GREY, RED])
    analyser = Analyser(workers=1)
    await analyser.start()
    try:
        for name, (write, impressions, estimated) in documents.items():
            path = folder / "document"
            write(path)
            with watched(analyser) as memory:
                started = time.monotonic()
                facts = await _analyse(analyser, path, timeout_s)
                took_s = time.monotonic() - started
            print(f"{name}: {took_s:.2f} s, {memory.worker >> 20} + {memory.ghostscript >> 20} MB, {facts}")
            path.unlink()
            assert took_s < timeout_s + GRACE_S, name
            assert memory.worker < MEMORY_ALLOWANCE_BYTES + (128 << 20), name
            assert memory.ghostscript <= MEMORY_BYTES, name
            assert (facts.impressions, facts.estimated) == (impressions, estimated), f"{name}: {facts}"
            after = await _analyse(analyser, small, GRACE_S)
            assert (after.impressions, after.color_impressions, after.estimated) == (2, 1, False), name
    finally:
        await analyser.close()


def test_hostile_documents(tmp_path: Path) -> None:
    asyncio.run(survive(tmp_path, FAST, FAST_S))


@pytest.mark.long
def test_hostile_documents_that_take_long(tmp_path: Path) -> None:
    asyncio.run(survive(tmp_path, SLOW, AnalysisSection().timeout_s))
