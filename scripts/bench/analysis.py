"""Pages a second that are counted and looked at for colour, beside Ghostscript's `inkcov`; and how little colour is
found.

Both sides get the same 500-page document (letters, charts, tables, photographs, scans; every eighth page in colour)
at the same resolution, once as a program wrote it and once as pdftopdf delivers it (every page wrapped in a form).
Ours does more than the peer: pages, media of each page, copies and sides as well. `--json` prints the results for
programs.

The second half draws each thing of `tests.support.documents.COLORED` on many pages, wherever it falls on the
pixels, and counts on how many it is found; COLORLESS counts what is found by mistake.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from provider.analysis.pdf import examine_pdf
from provider.analysis.pdfium import RENDER_DPI, PdfDocument, is_color
from provider.analysis.ticket import AnalysisRequest
from provider.analysis.worker import Analyser
from scripts.bench.frame import Series, show, take_turns
from tests.support.documents import COLORED, COLORLESS, Page, mixed_document, text_lines, write_pdf
from tests.support.folders import scratch_folder

PAGES = 500
ROUNDS = 5
PLACES = 60
LATENCY_ROUNDS = 300
PDFTOPDF = "/usr/lib/cups/filter/pdftopdf"
AIM = ">= 4"


def ours(document: Path) -> float:
    """Pages a second of the whole analysis, from the bytes in memory to the facts."""
    data = document.read_bytes()
    started = time.perf_counter()
    found = examine_pdf(data, AnalysisRequest(), budget_s=600)
    took = time.perf_counter() - started
    if found.facts.estimated or found.pages != PAGES or len(found.color_pages) != len(range(3, PAGES, 8)):
        raise RuntimeError(f"the document was not counted as it was made: {found}")
    return PAGES / took


def drawn_whole(document: Path) -> float:
    """The same search without leaving anything out, to tell what the leaving out is worth."""
    with PdfDocument(np.fromfile(document, dtype=np.uint8)) as pdf:
        started = time.perf_counter()
        for index in range(pdf.page_count):
            is_color(pdf.render(index))
        return pdf.page_count / (time.perf_counter() - started)


def inkcov(document: Path) -> float:
    started = time.perf_counter()
    _inkcov(document)
    return PAGES / (time.perf_counter() - started)


def _inkcov(document: Path) -> list[bool]:
    """For each page whether Ghostscript finds cyan, magenta or yellow on it."""
    command = ["gs", "-q", "-dSAFER", f"-r{RENDER_DPI:g}", "-sDEVICE=inkcov", "-o", "-", str(document)]
    lines = subprocess.run(command, capture_output=True, check=True, text=True, timeout=600).stdout.splitlines()
    inks = [line.split() for line in lines if line.rstrip().endswith("CMYK OK")]
    return [any(float(ink) > 0 for ink in words[:3]) for words in inks]


def counting(document: Path) -> float:
    """Pages a second where colour is not asked for."""
    data = document.read_bytes()
    started = time.perf_counter()
    examine_pdf(data, AnalysisRequest(options="print-color-mode=monochrome"), budget_s=600)
    return PAGES / (time.perf_counter() - started)


def pdfinfo(document: Path) -> float:
    """The peer for counting, told all page sizes as we find them."""
    started = time.perf_counter()
    subprocess.run(["pdfinfo", "-l", "-1", str(document)], capture_output=True, check=True, timeout=600)
    return PAGES / (time.perf_counter() - started)


async def latencies_ms(document: Path) -> list[float]:
    """One-page document, from the question to the worker process to its answer."""
    analyser = Analyser(workers=1)
    await analyser.start()
    descriptor = os.open(document, os.O_RDONLY)
    try:
        took = []
        for _ in range(LATENCY_ROUNDS):
            started = time.perf_counter()
            await analyser.analyse(descriptor, AnalysisRequest())
            took.append(1000 * (time.perf_counter() - started))
        return took[LATENCY_ROUNDS // 10 :]
    finally:
        os.close(descriptor)
        await analyser.close()


def recall(folder: Path, things: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """How often each thing is found, by us and by inkcov, on PLACES pages where it lies a little elsewhere each
    time.
    """
    rng = random.Random(1)
    text = text_lines(40, 1)
    found = {}
    for number, (name, content) in enumerate(things.items()):
        moves = [(rng.uniform(0, 20), rng.uniform(0, 20)) for _ in range(PLACES)]
        pages = [Page(content=f"{text}\nq 1 0 0 1 {x:.3f} {y:.3f} cm {content} Q") for x, y in moves]
        path = write_pdf(folder / f"{number}.pdf", pages)
        mine = examine_pdf(path.read_bytes(), AnalysisRequest(), budget_s=600).color_pages
        found[name] = (len(mine), sum(_inkcov(path)))
    return found


def show_recall(title: str, found: Mapping[str, tuple[int, int]]) -> None:
    width = max(map(len, found))
    print(f"\n{title}, found on how many of {PLACES} pages at {RENDER_DPI:g} dpi")
    print(f"  {''.ljust(width)}  inkeeper  inkcov")
    for name, (mine, theirs) in found.items():
        print(f"  {name.ljust(width)}  {mine:8}  {theirs:6}")


def measure(folder: Path) -> dict[str, object]:
    """Print the tables; the same numbers as values."""
    plain, delivered, one = folder / "plain.pdf", folder / "delivered.pdf", folder / "one.pdf"
    mixed_document(plain, PAGES)
    delivered.write_bytes(
        subprocess.run(
            [PDFTOPDF, "1", "bench", "bench", "1", "", str(plain)], capture_output=True, check=True, timeout=600
        ).stdout
    )
    write_pdf(one, [Page(content=text_lines(45, 1))])
    rates = {name: _rates(name, path) for name, path in (("as written", plain), ("as pdftopdf delivers it", delivered))}
    counted, told = take_turns([partial(counting, plain), partial(pdfinfo, plain)], ROUNDS)
    show(f"counting: {PAGES} pages and their sizes", ("inkeeper", counted), ("pdfinfo", told), "pages/s", "-")
    took = asyncio.run(latencies_ms(one))
    print(
        f"\none page of text through a worker: {Series(tuple(took)).text('ms')}, 99 % within {_percentile(took):.3g} ms"
    )
    colored, colorless = recall(folder, COLORED), recall(folder, COLORLESS)
    show_recall("colour", colored)
    show_recall("no colour", colorless)
    counts = {"inkeeper": counted.values, "pdfinfo": told.values}
    return {"rates": rates, "counting": counts, "latency_ms": took, "colored": colored, "colorless": colorless}


def _rates(name: str, document: Path) -> dict[str, tuple[float, ...]]:
    mine, whole, peer = take_turns([partial(measured, document) for measured in (ours, drawn_whole, inkcov)], ROUNDS)
    title, beside = f"analysis: {PAGES} mixed pages {name}, {RENDER_DPI:g} dpi", f"gs inkcov -r{RENDER_DPI:g}"
    show(title, ("inkeeper", mine), (beside, peer), "pages/s", AIM)
    show(f"{title}, every page drawn whole", ("inkeeper", whole), (beside, peer), "pages/s", "-")
    return {"inkeeper": mine.values, "drawn whole": whole.values, "inkcov": peer.values}


def _percentile(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the analysis of documents beside Ghostscript.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there as well")
    options = parser.parse_args()
    with scratch_folder("ik-bench-") as folder:
        results = measure(folder)
    if options.json:
        options.json.write_text(
            json.dumps({"pages": PAGES, "places": PLACES, "python": sys.version, **results}, indent=1)
        )


if __name__ == "__main__":
    main()
