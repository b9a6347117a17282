"""A BIND of our own: one zone on a free port of 127.0.0.1, changed by signed updates of one key."""

import base64
import os
import shutil
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

import dns.message
import dns.query
import dns.rdatatype

from tests.support.processes import Process, free_port

ZONE = "print.test"
NAME = f"inkeeper.{ZONE}"
KEY = "inkeeper-key"


class Bind:
    """`folder` holds all that it writes. The key may change A, AAAA and TXT of NAME and TXT of its fence, no more."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.secret = base64.b64encode(os.urandom(32)).decode()
        self.key_file = folder / "update.key"
        self.key_file.write_text(f'key "{KEY}" {{\n\talgorithm hmac-sha256;\n\tsecret "{self.secret}";\n}};\n')
        (folder / "zone.db").write_text(
            f"$TTL 60\n@ IN SOA ns.{ZONE}. root.{ZONE}. 1 60 60 3600 1\n@ IN NS ns.{ZONE}.\nns IN A 127.0.0.1\n"
        )
        (folder / "named.conf").write_text(
            f'options {{ directory "{folder}"; pid-file none; session-keyfile "{folder}/session.key";\n'
            f"  listen-on port {self.port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n"
            "  recursion no; dnssec-validation no; notify no; allow-transfer { none; }; };\n"
            "controls {};\n"
            f'include "{self.key_file}";\n'
            f'zone "{ZONE}" {{ type primary; file "zone.db"; update-policy {{\n'
            f"  grant {KEY}. name {NAME}. A AAAA; grant {KEY}. name _inkeeper.{NAME}. TXT; }}; }};\n"
        )
        # The system's security profile for /usr/sbin/named lets it read no folder of ours; a copy elsewhere has none.
        program = shutil.copy("/usr/sbin/named", folder / "named")
        words = [program, "-g", "-c", folder / "named.conf", "-n", "1"]
        self.process = Process("named", words, log=folder / "named.log", stop_signal=signal.SIGTERM)

    def settings(self, **more: str) -> dict[str, str]:
        """What `[dns]` is set to."""
        place = {"name": NAME, "server": f"127.0.0.1:{self.port}", "zone": ZONE}
        return {**place, "key_name": KEY, "key_file": str(self.key_file), **more}

    def records(self, name: str = NAME, kind: str = "A") -> set[str]:
        """What anybody is told when asking for a name."""
        question = dns.message.make_query(name, kind)
        answer = dns.query.tcp(question, "127.0.0.1", timeout=10, port=self.port)
        wanted = dns.rdatatype.from_text(kind)
        return {item.to_text().strip('"') for found in answer.answer if found.rdtype == wanted for item in found}

    def fence(self) -> str:
        return next(iter(self.records(f"_inkeeper.{NAME}", "TXT")), "")

    def start(self) -> Self:
        self.process.start()
        self.process.wait_for_line("running$", 60)
        self.process.wait_for_port(self.port)
        return self

    def stop(self) -> None:
        self.process.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
