"""Run files as the backend writes them."""

from pathlib import Path

from provider.cups_backend import inkeeper as backend

PRINTED = b"""\
DEBUG: Connected to printer
DEBUG: Print job accepted - job ID 1.
DEBUG: Sending file 1 using chunking...
DEBUG: job-state enum completed
"""


def write_run(folder: Path, name: str, *, exit_code: int | None) -> None:
    """A run that is over; with an exit code of None nobody saw its end."""
    job_id, _, number = name.rpartition(".")
    started = {"kind": "started", "v": 1, "started_at": backend.now_ms(), "job_id": job_id, "run": int(number)}
    ended = {"kind": "ended", "v": 1, "exit_code": exit_code or 0, "canceled": False, "ended_at": backend.now_ms()}
    data = backend.record(started) + (b"" if exit_code is None else backend.record(ended))
    (folder / f"{name}.log").write_bytes(PRINTED if exit_code == 0 else b"DEBUG: Connected to printer\n")
    (folder / f"{name}.run").write_bytes(data + bytes(100))
