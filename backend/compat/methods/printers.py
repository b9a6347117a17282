"""Printers: tracked queues under the name of their print server or print cluster."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from backend.compat.faults import Code, Fault, printer_unknown
from backend.compat.methods.caller import Caller
from backend.compat.properties import PrinterRecord, money, printer_property, printer_switch
from backend.compat.queries import printer_names, printer_record, queue_totals
from backend.printers.errors import QueueUnknown
from backend.printers.service import set_queue, switch_queue
from backend.wire.printers import SetQueue

STATISTICS: Final = "print-stats."


async def list_printers(caller: Caller, offset: int, limit: int) -> list[str]:
    return await caller.read(printer_names, offset, limit)


async def get_property(caller: Caller, server: str, printer: str, name: str) -> str:
    record = await _record(caller, server, printer)
    if name.strip().startswith(STATISTICS):  # these read the history of jobs, so only who wants them pays for it
        jobs, impressions = await caller.read(queue_totals, record.queue_id)
        record = replace(record, jobs=jobs, impressions=impressions)
    return printer_property(record, name)


async def get_properties(caller: Caller, server: str, printer: str, names: list[str]) -> list[str]:
    """In the order asked for; "" for a name that is not known, as with users."""
    record = await _record(caller, server, printer)
    if any(name.strip().startswith(STATISTICS) for name in names):
        jobs, impressions = await caller.read(queue_totals, record.queue_id)
        record = replace(record, jobs=jobs, impressions=impressions)
    values: list[str] = []
    for name in names:
        try:
            values.append(printer_property(record, name))
        except Fault:
            values.append("")
    return values


async def set_property(caller: Caller, server: str, printer: str, name: str, value: str) -> bool:
    return await set_properties(caller, server, printer, [(name, value)])


async def set_properties(caller: Caller, server: str, printer: str, pairs: list[tuple[str, str]]) -> bool:
    """All are looked at before any is set."""
    switches = [printer_switch(name, value) for name, value in pairs]
    record = await _record(caller, server, printer)
    if switches:
        await _switch(caller, record, server, printer, disabled=switches[-1])
    return True


async def enable(caller: Caller, server: str, printer: str) -> bool:
    return await _switch(caller, await _record(caller, server, printer), server, printer, disabled=False)


async def disable(caller: Caller, server: str, printer: str, minutes: int) -> bool:
    """For so many minutes, -1 for ever."""
    record = await _record(caller, server, printer)
    return await _switch(caller, record, server, printer, disabled=True, minutes=minutes)


async def get_cost(caller: Caller, server: str, printer: str) -> Decimal:
    price = (await _record(caller, server, printer)).per_impression
    if price is None:
        raise Fault(Code.COST_MODEL_INVALID, "The printer has another cost model than SIMPLE")
    return money(price, caller.ledger.decimals)


async def set_cost(caller: Caller, server: str, printer: str, cost: int) -> bool:
    if cost < 0:
        raise Fault(Code.GENERAL, "The cost must not be negative")
    record = await _record(caller, server, printer)
    body = SetQueue(cost_per_impression=cost)
    try:
        await caller.write(set_queue, record.queue_id, body, actor=caller.actor, role=caller.role)
    except QueueUnknown as error:
        raise printer_unknown(server, printer) from error
    return True


async def _switch(
    caller: Caller, record: PrinterRecord, server: str, printer: str, *, disabled: bool, minutes: int = -1
) -> bool:
    try:
        await caller.write(
            switch_queue,
            record.queue_id,
            disabled=disabled,
            minutes=minutes,
            actor=caller.actor,
            role=caller.role,
        )
    except QueueUnknown as error:
        raise printer_unknown(server, printer) from error
    return True


async def _record(caller: Caller, server: str, printer: str) -> PrinterRecord:
    if not server.strip():
        raise Fault(Code.SERVER_NAME_BLANK, "The server name is blank")
    if not printer.strip():
        raise Fault(Code.PRINTER_NAME_BLANK, "The printer name is blank")
    record = await caller.read(printer_record, server.strip(), printer.strip(), caller.ledger.decimals)
    if record is None:
        raise printer_unknown(server, printer)
    return record
