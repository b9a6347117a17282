"""The process in which documents are looked at: apart from the daemon, because a document may hang or crash its
reader.

Started by `provider.analysis.worker`, with one end of a socket pair. It answers questions one after the other until
the other end is closed, and dies with its parent even in the middle of a page (PR_SET_PDEATHSIG). Its memory is
limited to what it has when it is ready, plus an allowance, plus twice the document (mapped, and once more where it
is copied): a document that wants more fails alone. It holds no secrets: its environment is a list made by the
parent.
"""

import ctypes
import mmap
import os
import resource
import signal
import socket
import stat
import sys
from typing import Final

import msgspec

from provider.analysis.document import analyse_document
from provider.analysis.fallback import estimate
from provider.analysis.formats import HEAD_BYTES, document_format
from provider.analysis.frames import HEADER, Answer, FrameError, Question, frame, frame_length
from provider.analysis.pdf import DocumentBytes
from provider.analysis.ticket import AnalysisRequest

_PR_SET_PDEATHSIG: Final = 1
_WARM_UP: Final = b"""%PDF-1.4
1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>endobj
4 0 obj<</Length 37>>stream
BT /F 12 Tf 1 0 0 rg 9 9 Td(W)Tj ET  
endstream endobj
5 0 obj<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>endobj
trailer<</Root 1 0 R/Size 6>>
%%EOF"""  # noqa: W291


def main() -> None:
    """Arguments: the socket's descriptor, the parent's process id, the memory allowance in bytes."""
    descriptor, parent, allowance = (int(argument) for argument in sys.argv[1:4])
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which closes the socket
    with socket.socket(fileno=descriptor) as connection:
        analyse_document(_WARM_UP, AnalysisRequest(), 1.0)
        base = _address_space_bytes() + allowance
        connection.sendall(frame(Answer()))
        while (received := _receive(connection)) is not None:
            _answer(connection, base, *received)


def _die_with(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        os._exit(1)


def _receive(connection: socket.socket) -> tuple[Question, int] | None:
    """The next question and its document's descriptor; None when the other end is closed."""
    header, descriptors, _, _ = socket.recv_fds(connection, HEADER.size, 1)
    if not header:
        return None
    if not descriptors:
        raise FrameError("a question came without its document")
    header += _exactly(connection, HEADER.size - len(header))
    payload = _exactly(connection, frame_length(header))
    return msgspec.json.decode(payload, type=Question), descriptors[0]


def _exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise FrameError("the connection was closed within a frame")
        parts += part
    return bytes(parts)


def _answer(connection: socket.socket, base_bytes: int, question: Question, descriptor: int) -> None:
    try:
        size = _document_size(descriptor)
        _limit_memory(base_bytes + 2 * size)
        document: DocumentBytes = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) if size else b""
    finally:
        os.close(descriptor)
    try:
        facts = analyse_document(
            document,
            question.request,
            question.budget_s,
            counted=lambda facts: connection.sendall(frame(Answer(facts=facts, final=False))),
        )
    except MemoryError:
        kind = document_format(bytes(document[:HEAD_BYTES]), question.request.document_format)
        facts = estimate(question.request, kind, size, "the document needs more memory to read than it may have")
    connection.sendall(frame(Answer(facts=facts)))


def _document_size(descriptor: int) -> int:
    """Bytes of a regular file; 0 for anything else, which has no size and cannot be mapped."""
    status = os.fstat(descriptor)
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _limit_memory(limit_bytes: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
