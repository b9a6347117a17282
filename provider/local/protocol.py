"""The words between the CUPS backend and the daemon. Pure.

A frame is a u32 length and then `key=value` lines in UTF-8; in values %, CR and LF stand as %25, %0D and %0A. A
question may carry the document's descriptor (SCM_RIGHTS). The daemon says `working` every WORKING_S until it
answers; a backend that hears nothing for nearly four times as long hangs up and goes by its policy, alone. Once the
document has been looked at, the daemon says in how many seconds at most it answers (`decided_in`): after that the
backend hangs up too, whatever keeps the daemon. Golden frames in tests/unit/provider hold both ends to this: the
backend imports nothing of ours.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from provider.errors import ProviderError
from provider.jobs.events import Deny, Finished, Hold, Print, Reply, Superseded, Wait

VERSION: Final = "1"
MAX_FRAME_BYTES: Final = 1 << 20
WORKING_S: Final = 0.45
DECIDED_S: Final = 1.9  # after the analysis: promise P12 is 2 s, whatever hangs between a server and the backend


class ProtocolError(ProviderError):
    """This is no frame of ours."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend tells of the job it was started for, as cupsd gave it."""

    cups_job_id: int
    user: str
    title: str
    copies: int
    options: str
    queue: str
    device_uri: str
    content_type: str
    document_bytes: int
    request_root: str
    incarnation: str
    named_file: bool
    ppd: str = ""


class RunOver(msgspec.Struct, frozen=True, kw_only=True):
    """The run that was permitted on this connection has ended."""

    job_id: str


class StatusAsked(msgspec.Struct, frozen=True):
    """`inkeeper-provider status` wants to know."""


Request = Question | RunOver | StatusAsked


def encode_frame(fields: Mapping[str, str]) -> bytes:
    lines = (f"{key}={_escape(value)}\n" for key, value in fields.items())
    body = "".join(lines).encode("utf-8", "replace")
    return len(body).to_bytes(4, "big") + body


def decode_fields(body: bytes) -> dict[str, str]:
    """The fields of a frame's body. Never raises: what is no `key=value` is passed over."""
    fields: dict[str, str] = {}
    for line in body.decode("utf-8", "replace").split("\n"):
        key, separator, value = line.partition("=")
        if separator:
            fields[key] = value.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
    return fields


def frame_length(header: bytes) -> int:
    """How many bytes follow the four of the header. Raises ProtocolError for more than a frame may have."""
    length = int.from_bytes(header, "big")
    if length > MAX_FRAME_BYTES:
        raise ProtocolError(f"a frame of {length} bytes is longer than {MAX_FRAME_BYTES}")
    return length


def decode_request(body: bytes) -> Request:
    """Raises ProtocolError for what no backend of this version says."""
    fields = decode_fields(body)
    if fields.get("v") != VERSION:
        found = fields.get("v", "none")
        raise ProtocolError(
            f"the backend speaks protocol {found}, this daemon {VERSION}: run `inkeeper-provider track`"
        )
    kind = fields.get("kind")
    if kind == "status":
        return StatusAsked()
    if kind == "ended":
        return RunOver(job_id=fields.get("job_id", ""))
    if kind != "ask":
        raise ProtocolError(f"there is no request {kind!r}")
    try:
        return Question(
            cups_job_id=int(fields["cups_job_id"]),
            user=fields["user"],
            title=fields["title"],
            copies=_copies(fields["copies"]),
            options=fields["options"],
            queue=fields["queue"],
            device_uri=fields["device_uri"],
            content_type=fields["content_type"],
            document_bytes=int(fields["document_bytes"]),
            request_root=fields["request_root"],
            incarnation=fields["incarnation"],
            named_file=fields["named_file"] == "1",
            ppd=fields.get("ppd", ""),
        )
    except (KeyError, ValueError) as error:
        raise ProtocolError(f"the question lacks or garbles a field: {error}") from error


def encode_reply(reply: Reply, runs_folder: str) -> bytes:
    """The frame that answers a question."""
    match reply:
        case Print():
            fields = {
                "answer": "print",
                "job_id": reply.job_id,
                "runs": runs_folder,
                "name": reply.name,
                "run": str(reply.run),
                "attempt": str(reply.attempt),
                "document": str(reply.document),
                "incarnation": reply.incarnation,
                "offline": "1" if reply.offline else "0",
            }
        case Deny():
            fields = {"answer": "deny", "message": reply.message}
        case Hold():
            fields = {"answer": "hold", "message": reply.message}
        case Wait():
            fields = {"answer": "wait", "message": reply.message, "seconds": f"{reply.seconds:g}"}
        case Finished():
            fields = {"answer": "finished"}
        case Superseded():
            fields = {"answer": "superseded"}
    return encode_frame(fields)


def encode_working(message: str = "") -> bytes:
    return encode_frame({"answer": "working", "message": message})


def encode_decided_in(seconds: float) -> bytes:
    """`working`, and by when the answer comes."""
    return encode_frame({"answer": "working", "decided_in": f"{max(0.0, seconds):.3f}"})


def encode_status(document: bytes) -> bytes:
    return encode_frame({"answer": "status", "body": document.decode()})


def encode_status_question() -> bytes:
    return encode_frame({"v": VERSION, "kind": "status"})


def _escape(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _copies(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdigit() else 1
