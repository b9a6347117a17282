"""Pages a second of every format beside PDF, each beside what a print server has at hand that reads the same bytes.

The document is the mixed one of the analysis bench (every eighth page in colour), of PAGES pages, in each printer
language as CUPS's or Ghostscript's drivers write it. Both sides begin with the document in a file and a machine that
has it in its cache. The peers:

- PostScript: Ghostscript's `inkcov` at the same 20 dpi, which tells colour, and its `bbox`, which only counts;
- PWG raster and URF: cups-filters' `rastertopdf` (it reads every line, as ours does, and writes them into a PDF; of
  colour it tells nothing);
- PCL 5 and PCL XL: none. Neither GhostPCL nor pkpgcounter is packaged for Debian 12 or stands in the package index.

`--pages` makes it shorter.
"""

import argparse
import os
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from provider.analysis.document import analyse_document
from provider.analysis.pdfium import RENDER_DPI
from provider.analysis.ticket import AnalysisRequest
from scripts.bench.frame import Series, show, take_turns
from tests.support.documents import converted, mixed_document, raster_of
from tests.support.folders import scratch_folder

PAGES = 24
ROUNDS = 3
FILTERS = Path("/usr/lib/cups/filter")
URF, PWG = "image/urf", "image/pwg-raster"

Peer = Callable[[Path], list[str | Path]]


def ours(document: Path, pages: int) -> float:
    """Pages a second, from the file to the facts."""
    started = time.perf_counter()
    facts = analyse_document(document.read_bytes(), AnalysisRequest(), 600.0)
    took = time.perf_counter() - started
    if facts.impressions != pages or facts.estimated:
        raise RuntimeError(f"{document.name} was not counted as it was made: {facts}")
    return pages / took


def of_peer(command: list[str | Path], kind: str, document: Path, pages: int) -> float:
    environment = {**os.environ, "CONTENT_TYPE": kind, "PPD": str(document.parent / "a.ppd")}
    started = time.perf_counter()
    with open(document, "rb") as source:
        subprocess.run(command, stdin=source, env=environment, capture_output=True, check=True, timeout=600)
    return pages / (time.perf_counter() - started)


def ghostscript(device: str, document: Path) -> list[str | Path]:
    return ["gs", "-q", "-dSAFER", f"-r{RENDER_DPI:g}", f"-sDEVICE={device}", "-o", "-", document]


def rastertopdf(document: Path) -> list[str | Path]:
    return [FILTERS / "rastertopdf", "1", "bench", "bench", "1", ""]


def documents(folder: Path, pages: int) -> dict[str, tuple[Path, str, dict[str, Peer]]]:
    """By name: the document, its format, its peers."""
    source = folder / "a.pdf"
    mixed_document(source, pages)
    inkcov: dict[str, Peer] = {
        f"gs inkcov -r{RENDER_DPI:g}": partial(ghostscript, "inkcov"),
        "gs bbox": partial(ghostscript, "bbox"),
    }
    reading: dict[str, Peer] = {"rastertopdf": rastertopdf}
    made = {
        "PostScript": (converted(source, "ps2write"), "application/postscript", inkcov),
        "URF, RGB of 300 dpi": (raster_of(source, URF, dpi=300), URF, reading),
        "PWG raster, RGB of 300 dpi": (raster_of(source, PWG, dpi=300), PWG, reading),
        "PWG raster, grey of 600 dpi": (raster_of(source, PWG, gray=True, dpi=600), PWG, reading),
        "PCL 5, black of 300 dpi": (converted(source, "ljet4", dpi=300), "", {}),
        "PCL 5, colour of 300 dpi (cdj970)": (converted(source, "cdj970", dpi=300), "", {}),
        "PCL XL, black": (converted(source, "pxlmono", dpi=600), "", {}),
        "PCL XL, colour": (converted(source, "pxlcolor", dpi=600), "", {}),
    }
    kept = {}
    for number, (name, (content, kind, peers)) in enumerate(made.items()):
        path = folder / f"{number}.document"
        path.write_bytes(content)
        kept[name] = (path, kind, peers)
    return kept


def measure(folder: Path, pages: int) -> None:
    for name, (path, kind, peers) in documents(folder, pages).items():
        commands = [partial(of_peer, peer(path), kind, path, pages) for peer in peers.values()]
        mine, *theirs = take_turns([partial(ours, path, pages), *commands], ROUNDS)
        title = f"{name}: {pages} mixed pages, {path.stat().st_size / 1e6:.1f} MB"
        if not theirs:
            print(f"\n{title}\n  inkeeper  {mine.text('pages/s')}, no peer", flush=True)
        for peer, series in zip(peers, theirs, strict=True):
            _compare(title, mine, peer, series)


def _compare(title: str, mine: Series, peer: str, theirs: Series) -> None:
    show(title, ("inkeeper", mine), (peer, theirs), "pages/s", "-")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Measure the analysis of printer languages beside what else reads them."
    )
    parser.add_argument("--pages", type=int, default=PAGES)
    options = parser.parse_args()
    with scratch_folder("ik-bench-") as folder:
        measure(folder, options.pages)


if __name__ == "__main__":
    main()
