"""`performOnlineBackup`: begun at once, in the background; `getTaskStatus` tells how it went."""

import asyncio
import logging
from functools import partial

from backend.access.audit import write_audit
from backend.base.cli import Failure
from backend.compat.methods.caller import Caller
from backend.compat.methods.tasks import NOTE_EVERY_S, Notes, begin
from backend.db.errors import DatabaseError

log = logging.getLogger(__name__)


async def perform_online_backup(caller: Caller) -> bool:
    return await begin(caller, "performOnlineBackup", partial(_back_up, caller))


async def _back_up(caller: Caller, notes: Notes) -> str:
    making = asyncio.create_task(caller.backup.make())
    try:
        while not (await asyncio.wait({making}, timeout=NOTE_EVERY_S))[0]:
            await _go_on(notes)
        path = making.result()
        size = (await asyncio.to_thread(path.stat)).st_size
        await caller.database.write(write_audit, caller.actor, caller.role, "backup-made", path.name, f"{size:,} bytes")
    except (Failure, OSError) as error:
        return f"no backup was made, {error}"
    except DatabaseError as error:
        return f"the backup was made, but the audit log could not say so: {error}"
    finally:
        making.cancel()
    return f"the backup {path.name} was made, {size:,} bytes"


async def _go_on(notes: Notes) -> None:
    try:
        await notes.write()
    except DatabaseError as error:
        log.warning("performOnlineBackup goes on, which could not be noted: %s", error)
