"""A real IPP printer, CUPS's ippeveprinter, that keeps what it printed: the outside witness of every count.

ippeveprinter insists on a D-Bus to talk to Avahi over, so it gets a private one, on which no Avahi is. It takes one job
at a time. What came out stands in `printed.jsonl`, written by printer_command.py; every document stays in the spool.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support import printer_command
from tests.support.cupsd import cups_user
from tests.support.folders import SOCKET_PATH_LIMIT, give_to
from tests.support.processes import Failed, Process, free_port, wait_until

BUS_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "busconfig.dtd">
<busconfig>
  <listen>unix:path={socket}</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@dataclass(frozen=True)
class Printout:
    """What came out of the printer for one document. `complete` is false while it prints, or when it never ended."""

    printer_job: int
    title: str
    user_name: str
    copies: int
    sides: str
    pages: int
    impressions: int
    sheets: int
    document_format: str
    document: Path
    sha256: str
    complete: bool


class IppPrinter:
    """`folder` must be one that cupsd's user can walk into: the printer runs as that user."""

    def __init__(
        self,
        folder: Path,
        name: str = "Printer",
        port: int | None = None,
        formats: Sequence[str] = ("application/pdf",),
        *,
        attributes: str = "",
        on: Sequence[str] = (),
    ) -> None:
        """`attributes` are its own beside ippeveprinter's, in ipptool's words (`ATTR keyword media-ready …`); `on` runs
        it on a host of the test's own."""
        self.folder = folder
        self.name = name
        self.port = port or free_port()
        self.spool = folder / "spool"
        self.log = folder / "printed.jsonl"
        self._formats = ",".join(formats)
        self._attributes = attributes
        self._bus_socket = folder / "bus"
        if len(str(self._bus_socket)) > SOCKET_PATH_LIMIT:
            raise Failed(f"{self._bus_socket} is too long for a socket's path; use a folder nearer to /")
        self._lay_out()
        self.bus = Process(
            "dbus-daemon",
            ["dbus-daemon", "--nofork", "--nopidfile", f"--config-file={folder / 'bus.conf'}"],
            log=folder / "bus.log",
            user=cups_user(),
            on=on,
        )
        self.process = Process(
            "ippeveprinter",
            self._command(),
            log=folder / "printer.log",
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self._bus_socket}"},
            cwd=folder,
            user=cups_user(),
            on=on,
        )

    @property
    def uri(self) -> str:
        return f"ipp://127.0.0.1:{self.port}/ipp/print"

    def start(self) -> Self:
        if not self.bus.running:
            self._bus_socket.unlink(missing_ok=True)
            self.bus.start()
            self.bus.wait_for(self._bus_socket.exists, 10, "its socket was there")
        self.process.start()
        self.process.wait_for_port(self.port)
        return self

    def stop(self) -> None:
        self.process.stop()
        self.bus.stop()

    def behave(
        self,
        *,
        impression_s: float = 0.0,
        counts: bool = True,
        paper_for: int | None = None,
        breaks_after: int = 0,
    ) -> None:
        """From the next document on: how long an impression takes, whether the printer tells its count, after how many
        impressions it breaks the job off (0: never). And at once: for how many impressions of a document there is paper
        (None: enough)."""
        draft = self.folder / "behaviour.new"
        draft.write_text(
            json.dumps(
                {
                    "impression_s": impression_s,
                    "counts": counts,
                    "paper_for": paper_for,
                    "breaks_after": breaks_after,
                }
            )
        )
        draft.rename(self.folder / "behaviour.json")

    def printouts(self) -> list[Printout]:
        """Everything that came out since the printer was set up, oldest first, half-printed documents included."""
        outcomes: dict[tuple[str, str], Printout] = {}
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            told = json.loads(line)
            outcomes[told["job_uuid"], told["document"]] = Printout(
                printer_job=told["printer_job"],
                title=told["title"],
                user_name=told["user_name"],
                copies=told["copies"],
                sides=told["sides"],
                pages=told["pages"],
                impressions=told["impressions"],
                sheets=told["sheets"],
                document_format=told["document_format"],
                document=self.spool / told["document"],
                sha256=told["sha256"],
                complete=told["event"] == "printed",
            )
        return list(outcomes.values())

    def wait_for_printouts(self, count: int, timeout_s: float = 60) -> list[Printout]:
        def printed() -> list[Printout] | None:
            complete = [printout for printout in self.printouts() if printout.complete]
            return complete if len(complete) >= count else None

        return wait_until(printed, timeout_s, f"{count} documents to come out of {self.name}")

    def wait_for(self, wanted: Callable[[Printout], bool], timeout_s: float = 60) -> None:
        """Until such a printout is there."""
        wait_until(lambda: any(map(wanted, self.printouts())), timeout_s, f"{self.name} to print it")

    def __enter__(self) -> Self:
        return self if self.process.running else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _command(self) -> list[str]:
        options = ["-r", "off", "-p", str(self.port), "-n", "localhost", "-v"]
        # With attributes of one's own ippeveprinter takes no other word on what it can do.
        able = (
            ["-a", str(self.folder / "attributes")] if self._attributes else ["-2", "-s", "60,60", "-f", self._formats]
        )
        keep = ["-k", "-d", str(self.spool), *able, "-c", str(self.folder / "print")]
        return ["/usr/sbin/ippeveprinter", *options, *keep, self.name]

    def _lay_out(self) -> None:
        self.spool.mkdir(parents=True, exist_ok=True)
        (self.folder / "bus.conf").write_text(BUS_CONFIGURATION.format(socket=self._bus_socket))
        (self.folder / "attributes").write_text(self._attributes)
        command = self.folder / "print"
        shutil.copyfile(printer_command.__file__, command)
        command.chmod(0o755)
        self.behave()
        for folder in (self.folder, self.spool):
            give_to(cups_user(), folder)
