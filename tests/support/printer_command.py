#!/usr/bin/python3 -IS
"""What the virtual printer does with a document: "prints" it and writes down what came out, one JSON line each.

ippeveprinter runs this for every document, the file's name as argument, the job's attributes in IPP_… variables.
It stands alone (standard library only) since it is copied beside the printer's spool and runs as the printer's user.
`behaviour.json` beside it says how slow the printer is, whether it counts, for how many impressions there is paper and
after how many it breaks off. The line "started" is on disk before the first sheet, the line "printed" when the last
is out: what lies between two such lines did not come out whole.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path


def count_pdf(document: Path) -> int:
    """Pages by poppler, a program that is not ours; 0 for what is no readable PDF."""
    told = subprocess.run(["pdfinfo", str(document)], capture_output=True, text=True, timeout=60, check=False)
    for line in told.stdout.splitlines():
        if line.startswith("Pages:"):
            return int(line.split()[1])
    return 0


def describe(document: Path) -> "dict[str, object]":
    copies = int(os.environ.get("IPP_COPIES", "1"))
    sides = os.environ.get("IPP_SIDES", "one-sided")
    pages = count_pdf(document) if os.environ.get("CONTENT_TYPE") == "application/pdf" else 1
    return {
        "printer_job": int(os.environ.get("IPP_JOB_ID", "0")),
        "job_uuid": os.environ.get("IPP_JOB_UUID", ""),
        "title": os.environ.get("IPP_JOB_NAME", ""),
        "user_name": os.environ.get("IPP_JOB_ORIGINATING_USER_NAME", ""),
        "document_format": os.environ.get("CONTENT_TYPE", ""),
        "copies": copies,
        "sides": sides,
        "color": os.environ.get("IPP_PRINT_COLOR_MODE", ""),
        "pages": pages,
        "impressions": pages * copies,
        "sheets": (pages if sides == "one-sided" else (pages + 1) // 2) * copies,
        "document": document.name,
        "sha256": hashlib.sha256(document.read_bytes()).hexdigest(),
    }


def note(log: Path, event: str, facts: "dict[str, object]") -> None:
    line = json.dumps({"event": event, "at": time.time(), **facts}) + "\n"
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(output, line.encode())
    finally:
        os.close(output)


def say(impressions: int, completed: int) -> None:
    sys.stderr.write(f"ATTR: job-impressions={impressions} job-impressions-completed={completed}\n")
    sys.stderr.flush()


def has_paper(home: Path, printed: int) -> bool:
    paper_for = json.loads((home / "behaviour.json").read_text())["paper_for"]
    return paper_for is None or printed < paper_for


def wait_for_paper(home: Path, printed: int) -> None:
    """Say what is missing for as long as it is."""
    missing = False
    while not has_paper(home, printed):
        if not missing:
            sys.stderr.write("STATE: +media-empty-error\n")
            sys.stderr.flush()
        missing = True
        time.sleep(0.1)
    if missing:
        sys.stderr.write("STATE: -media-empty-error\n")
        sys.stderr.flush()


def main() -> int:
    document = Path(sys.argv[1])
    home = Path(__file__).parent
    log = home / "printed.jsonl"
    behaviour = json.loads((home / "behaviour.json").read_text())
    facts = describe(document)
    impressions = int(str(facts["impressions"]))
    wait_for_paper(home, 0)
    note(log, "started", facts)
    for number in range(1, impressions + 1):
        wait_for_paper(home, number - 1)
        if number > (behaviour["breaks_after"] or impressions):
            return 1
        if behaviour["impression_s"]:
            time.sleep(behaviour["impression_s"])
        if behaviour["counts"] and (behaviour["impression_s"] or behaviour["breaks_after"]):
            say(impressions, number)
    if behaviour["counts"]:
        say(impressions, impressions)
    note(log, "printed", facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
