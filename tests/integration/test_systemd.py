"""The systemd units: valid, hardened, and the programs keep to what the units expect of them."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.base import notify
from tests.support.app_server import AppServer
from tests.support.documents import GREY, write_pdf
from tests.support.notify import NotifySocket
from tests.support.postgresql import Postgres
from tests.support.processes import run, wait_until
from tests.support.site import PRICE, Site

UNITS = sorted((Path(__file__).parents[2] / "packaging/systemd").glob("*.service"))


@pytest.fixture
def manager(scratch: Path) -> Iterator[NotifySocket]:
    with NotifySocket(scratch / "notify") as found:
        yield found


def setting(unit: Path, key: str) -> str:
    return next(line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith(f"{key}="))


def ready(manager: NotifySocket) -> bool:
    return notify.READY in manager.heard()


def test_the_server_says_when_it_serves_lives_and_stops(tmp_path: Path, manager: NotifySocket) -> None:
    server = AppServer(tmp_path)
    assert server.process.env is not None
    server.process.env.update(manager.environment)
    with server:
        server.process.wait_for(lambda: ready(manager), 60, "READY=1")
        server.process.signal(signal.SIGSTOP)
        wait_until(lambda: Path(f"/proc/{server.process.pid}/stat").read_text().split()[2] == "T", 10, "it to stop")
        manager.forget()
        time.sleep(2)  # a process that hangs says nothing: the absence of a sign takes its time
        assert manager.heard() == []
        server.process.signal(signal.SIGCONT)
        server.process.wait_for(lambda: notify.WATCHDOG in manager.heard(), 60, "a sign of life again")
    assert notify.STOPPING in manager.heard()


def test_a_server_that_waits_for_its_database_asks_for_time(
    scratch: Path, postgres_template: Path, manager: NotifySocket
) -> None:
    database = Postgres(scratch / "pg", template=postgres_template)
    server = AppServer(scratch, database_url=database.url())
    assert server.process.env is not None
    server.process.env.update(manager.environment)
    server.process.start()
    try:
        server.process.wait_for(lambda: "STATUS=waiting for the database" in manager.heard(), 60, "a word")
        assert any(word.startswith("EXTEND_TIMEOUT_USEC=") for word in manager.heard())
        assert notify.READY not in manager.heard()
        with database:
            server.process.wait_for(lambda: ready(manager), 60, "READY=1")
    finally:
        server.stop()


def hardened(unit: Path, *writable: Path) -> list[str]:
    """The words that take from a program what the unit takes, as far as that goes without systemd: capabilities, new
    privileges, and all of the file system but what it may write."""
    capabilities = [name.removeprefix("CAP_").lower() for name in setting(unit, "CapabilityBoundingSet").split()]
    binds = "".join(f"mount --bind {folder} {folder} && " for folder in writable)
    script = f'{binds}mount -t tmpfs none /tmp && mount -o remount,bind,ro / && exec "$@"'
    kept = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    return [
        *("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"),
        *("setpriv", "--no-new-privs", "--bounding-set", kept, "--inh-caps", "-all"),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take rights away as the unit does")
def test_a_job_is_charged_by_a_provider_that_has_only_the_units_rights(scratch: Path, manager: NotifySocket) -> None:
    unit = next(unit for unit in UNITS if "provider" in unit.name)
    site = Site(scratch)
    config, state = scratch / "provider.toml", scratch / "provider"
    config.write_text(config.read_text().replace(str(scratch / "provider.sock"), str(state / "provider.sock")))
    state.mkdir(mode=0o700)
    # What StateDirectory and ReadWritePaths are to the system's cupsd, whose spool is /var/spool/cups.
    assert setting(unit, "ReadWritePaths") == "/var/spool"
    site.provider.argv = [*hardened(unit, state, scratch / "cups"), *site.provider.argv]
    site.provider.env = {**os.environ, **manager.environment}
    with site:
        site.provider.wait_for(lambda: ready(manager), 60, "READY=1")
        status = Path(f"/proc/{site.provider.pid}/status").read_text()
        assert "CapEff:\t0000000000080026" in status  # the four that the unit leaves it
        job_id = site.cupsd.lp("q", write_pdf(scratch / "a.pdf", [GREY] * 2))
        assert site.cupsd.wait_for_state(job_id, timeout_s=90).state == "completed"
        site.wait_until_quiet()
        assert [job.charged for job in site.ledger().jobs] == [2 * PRICE]
        assert [job.marks for job in site.ledger().jobs] == [()]
        manager.forget()  # a socket that nobody reads takes ten messages, and there is a WATCHDOG=1 each second
    assert notify.STOPPING in manager.heard()


def test_without_a_service_manager_nothing_is_said_and_nothing_fails() -> None:
    notify.notify(notify.READY, environ={})
    assert notify.watchdog_interval_s({}) is None
    assert notify.watchdog_interval_s({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}) is None
    assert notify.watchdog_interval_s({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}) == 1.0


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_valid_and_hardened(unit: Path, tmp_path: Path) -> None:
    program = tmp_path / setting(unit, "ExecStart").split()[0].rpartition("/")[2]
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(f"/usr/bin/{program.name}", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, timeout=60, check=False)
    about_it = [line for line in (done.stderr + done.stdout).splitlines() if unit.name in line]
    assert (done.returncode, about_it) == (0, [])  # an unknown key is only a line, not a failure
    most = {"inkeeper-server.service": 25, "inkeeper-provider.service": 30}[unit.name]  # in tenths: 2.5 is "OK"
    run(["systemd-analyze", "security", "--offline=true", f"--threshold={most}", copy])


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_the_users_and_folders_are_made(tmp_path: Path) -> None:
    folder = UNITS[0].parent
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/lib").mkdir(parents=True)
    run(["systemd-sysusers", f"--root={tmp_path}", folder / "inkeeper.sysusers"])
    run(["systemd-tmpfiles", f"--root={tmp_path}", "--create", folder / "inkeeper.tmpfiles"])
    assert "inkeeper" in (tmp_path / "etc/passwd").read_text()
    assert (tmp_path / "var/lib/inkeeper/provider").is_dir()
