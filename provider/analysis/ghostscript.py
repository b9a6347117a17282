"""Ghostscript in a process of its own: draws PostScript at low resolution and says of each page what it is printed on.

The program runs what a stranger wrote, so:

- `-dSAFER`: no file is read or written, no command run by the document; beside that RLIMIT_FSIZE is 0 and the folder
  for temporary files does not exist, so that Ghostscript itself leaves nothing behind either, however it ends;
- it dies with this process (PR_SET_PDEATHSIG), at the deadline (SIGKILL), and after MEMORY_BYTES of memory;
- its standard output is the device's alone (`-sstdout=%stderr`): a document cannot write pages into it. What the
  prologue says of each page on the other channel begins with a random word that no document can read
  (`executeonly`).

The prologue's EndPage tells size, copies, and what was asked of the printer's duplex unit. A document that puts its
own EndPage in its place is counted by the pictures alone: size by pixels, every copy a page.
"""

import ctypes
import os
import re
import resource
import secrets
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from provider.analysis.pdfium import RENDER_DPI

MEMORY_BYTES: Final = 1 << 30
MAX_PICTURE_BYTES: Final = 256 << 20
_CHUNK: Final = 1 << 20
_PR_SET_PDEATHSIG: Final = 1
_PICTURE: Final = re.compile(rb"P6\s(?:#[^\n]*\n)*\s*(\d{1,9})\s(?:#[^\n]*\n)*\s*(\d{1,9})\s(?:#[^\n]*\n)*\s*255\s")
_MAX_LINE: Final = 1000

_PROLOGUE: Final = """
userdict begin
/.ikduplex null def /.iktumble false def
/.ikheed {
  dup type /dicttype eq {
    dup /Duplex known { dup /Duplex get userdict /.ikduplex 3 -1 roll put } if
    dup /Tumble known { dup /Tumble get userdict /.iktumble 3 -1 roll put } if
  } if
} bind def
/setpagedevice { .ikheed systemdict /setpagedevice get exec } bind def
statusdict /setduplexmode { userdict /.ikduplex 3 -1 roll put } bind put
statusdict /settumble { userdict /.iktumble 3 -1 roll put } bind put
/.iktell {
  (\\nTOKEN ) print
  currentpagedevice /PageSize get aload pop exch =string cvs print ( ) print =string cvs print ( ) print
  currentpagedevice /NumCopies .knownget { dup null eq { pop #copies } if } { #copies } ifelse =string cvs print
  ( ) print userdict /.ikduplex get =string cvs print
  ( ) print userdict /.iktumble get =string cvs print
  (\\n) print flush
} bind executeonly def
end
<< /EndPage { exch pop dup 2 ne { .iktell } if 2 ne } bind executeonly >> systemdict /setpagedevice get exec
"""


class GhostscriptError(Exception):
    """It cannot be started. The text completes "… because …"."""


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """One page as it left the device. `two_sided` is None where the document asks for nothing."""

    pixels: NDArray[np.uint8]
    size_pt: tuple[float, float]
    copies: int
    two_sided: bool | None
    short_edge: bool = False


class Run(msgspec.Struct):
    """How it ended. `timed_out`: it was killed at the deadline; `failed`: it stopped at an error."""

    timed_out: bool = False
    failed: bool = False


def draw(document: bytes, deadline: float, run: Run) -> Iterator[Drawn]:
    """The pages of a PostScript document, one after the other; `run` is filled in at the end."""
    program = shutil.which("gs")
    if program is None:
        raise GhostscriptError("Ghostscript is not installed")
    token = secrets.token_hex(16)
    source = os.memfd_create("document")
    try:
        _fill(source, document)
        process = _start(program, source, _PROLOGUE.replace("TOKEN", token))
    finally:
        os.close(source)
    try:
        yield from _pages(process, token, deadline, run)
        run.failed = not run.timed_out and process.wait(max(deadline - time.monotonic(), 0.1)) != 0
    except subprocess.TimeoutExpired:
        run.timed_out = True
    finally:
        process.kill()
        process.communicate()


def _fill(descriptor: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)


def _start(program: str, source: int, prologue: str) -> subprocess.Popen[bytes]:
    """The document by a file's name, since Ghostscript reads its standard input ten times slower; the prologue apart
    from it, for a document can read itself from its beginning.
    """
    arguments = (
        "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-dNOPROMPT", "-sDEVICE=ppmraw", f"-r{RENDER_DPI:g}",
        "-sBandListStorage=memory", "-sstdout=%stderr", "-sOutputFile=-", "-c", prologue, "-f", "/proc/self/fd/0",
    )  # fmt: skip
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "TMPDIR": "/nonexistent", "LC_ALL": "C"}
    try:
        return subprocess.Popen(
            (program, *arguments), stdin=source, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            cwd="/", preexec_fn=_confine,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        raise GhostscriptError(f"Ghostscript cannot be started: {error}") from error


def _confine() -> None:
    """In the new process, which has one thread, before it becomes Ghostscript."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write fails, instead of ending the program
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _pages(process: subprocess.Popen[bytes], token: str, deadline: float, run: Run) -> Iterator[Drawn]:
    """Pictures from its standard output, each with what its prologue told of it."""
    told = _Told(token)
    pictures = bytearray()
    with selectors.DefaultSelector() as selector:
        assert process.stdout is not None
        assert process.stderr is not None
        selector.register(process.stdout, selectors.EVENT_READ, pictures)
        selector.register(process.stderr, selectors.EVENT_READ, told)
        while selector.get_map():
            if time.monotonic() > deadline:
                run.timed_out = True
                return
            for key, _ in selector.select(max(deadline - time.monotonic(), 0.0)):
                data = os.read(key.fd, _CHUNK)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.data is told:
                    told.take(data)
                else:
                    pictures += data
            while (picture := _picture(pictures)) is not None:
                _drain(process, told)
                yield told.page(picture)


def _drain(process: subprocess.Popen[bytes], told: "_Told") -> None:
    """What the prologue said of a page was written before its picture: take all that is there."""
    assert process.stderr is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stderr, selectors.EVENT_READ)
        while not told.lines and selector.select(0):
            data = os.read(process.stderr.fileno(), _CHUNK)
            if not data:
                return
            told.take(data)


def _picture(data: bytearray) -> NDArray[np.uint8] | None:
    """The first picture off the data, once it is whole: height by width by 3."""
    header = _PICTURE.match(data)
    if header is None:
        return None
    width, height = int(header[1]), int(header[2])
    size = 3 * width * height
    if size > MAX_PICTURE_BYTES:
        raise GhostscriptError("a page is larger than can be looked at")
    end = header.end() + size
    if len(data) < end:
        return None
    pixels = np.frombuffer(bytes(data[header.end() : end]), dtype=np.uint8).reshape(height, width, 3)
    del data[:end]
    return pixels


class _Told:
    """What the prologue said, line by line; the pictures that the last line is for."""

    def __init__(self, token: str) -> None:
        self.lines: list[str] = []
        self._token = token.encode()
        self._rest = b""
        self._left = 0
        self._last: tuple[tuple[float, float], int, bool | None, bool] | None = None

    def take(self, data: bytes) -> None:
        """All else that a document prints is dropped, and no line is kept longer than one of ours."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:_MAX_LINE]
        self.lines += [line[len(self._token) :].decode("latin-1") for line in lines if line.startswith(self._token)]

    def page(self, pixels: NDArray[np.uint8]) -> Drawn:
        """Of `copies` equal pictures each is a page of one copy."""
        if not self._left:
            self._last = _read(self.lines.pop(0)) if self.lines else None
            self._left = self._last[1] if self._last else 1
        self._left -= 1
        if self._last is None:
            size = (pixels.shape[1] * 72 / RENDER_DPI, pixels.shape[0] * 72 / RENDER_DPI)
            return Drawn(pixels=pixels, size_pt=size, copies=1, two_sided=None)
        size, copies, two_sided, short_edge = self._last
        return Drawn(pixels=pixels, size_pt=size, copies=copies, two_sided=two_sided, short_edge=short_edge)


def _read(line: str) -> tuple[tuple[float, float], int, bool | None, bool] | None:
    words = line.split()
    try:
        width, height, copies, duplex, tumble = words
        two_sided = {"true": True, "false": False}.get(duplex)
        return (float(width), float(height)), max(int(float(copies)), 1), two_sided, tumble == "true"
    except ValueError:
        return None
