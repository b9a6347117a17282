"""The backup that a server makes of itself: names, what is deleted, and a process that fails or is ended."""

import asyncio
import os
from pathlib import Path

import pytest

from backend.base.cli import Failure
from backend.db.url import parse
from backend.operations.online_backup import (
    DEFAULT_FOLDER,
    BackupSettings,
    OnlineBackup,
    file_name,
    online_backup,
    outdated,
)
from tests.support.processes import wait_until

SHELL = ("sh", "-c")


def test_the_newest_are_kept_and_what_is_not_ours() -> None:
    ours = [file_name(86_400.0 * day) for day in range(4)]
    assert ours[0] == "inkeeper-19700101T000000Z.zip"
    names = [ours[2], "inkeeper.db", ours[0], "inkeeper-1.zip", ours[3], f".{ours[0]}.x.part", ours[1]]
    assert outdated(names, 2) == [ours[1], ours[0]]
    assert outdated(names, 4) == outdated(names, 0) == []


def test_where_backups_go() -> None:
    sqlite, postgresql = parse("sqlite:////data/inkeeper.db"), parse("postgresql://u@db1/x")
    assert online_backup(BackupSettings(), sqlite, None).folder == Path("/data/backups")
    assert online_backup(BackupSettings(), postgresql, None).folder == DEFAULT_FOLDER
    found = online_backup(BackupSettings(folder="/b", keep=3), postgresql, Path("/etc/x.toml"))
    assert (found.folder, found.keep, found.program[-2:]) == (Path("/b"), 3, ("--config", "/etc/x.toml"))


def test_a_backup_that_fails_deletes_nothing_and_says_why(tmp_path: Path) -> None:
    older = tmp_path / file_name(0)
    older.touch()
    backup = OnlineBackup((*SHELL, "echo first >&2; echo 'the disk is full' >&2; exit 1"), tmp_path, 1)
    with pytest.raises(Failure, match=r"^the disk is full$"):
        asyncio.run(backup.make())
    assert older.exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match=r"cannot be made: Not a directory"):
        asyncio.run(OnlineBackup(("true",), tmp_path / "file" / "backups", 1).make())


def test_one_that_never_ends_is_ended(tmp_path: Path) -> None:
    hanging = OnlineBackup((*SHELL, f"echo $$ > {tmp_path}/pid; exec sleep 600"), tmp_path / "b", 1, within_s=3.6)
    with pytest.raises(Failure, match=r"^it was not made within 0\.001 hours$"):
        asyncio.run(hanging.make())
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_server_that_ends_takes_the_process_with_it(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    backup = OnlineBackup((*SHELL, f"echo $$ > {begun}.new; mv {begun}.new {begun}; exec sleep 600"), tmp_path / "b", 1)

    async def serve() -> None:
        making = asyncio.create_task(backup.make())
        await asyncio.to_thread(wait_until, begun.exists, 20, "the process to begin")
        making.cancel()
        await asyncio.wait({making})
        assert making.cancelled()

    asyncio.run(serve())
    with pytest.raises(ProcessLookupError):
        os.kill(int(begun.read_text()), 0)
