"""Printers: tracked queues under the name of their print server or print cluster."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from backend.compat.faults import Code, Fault, printer_unknown
from backend.compat.methods.caller import Caller
from backend.compat.properties import PrinterRecord, money, printer_property
from backend.compat.queries import printer_names, printer_record, queue_totals
from backend.printers.errors import QueueUnknown
from backend.printers.service import set_queue
from backend.wire.messages import SetQueue

STATISTICS: Final = "print-stats."


async def list_printers(caller: Caller, offset: int, limit: int) -> list[str]:
    return await caller.read(printer_names, offset, limit)


async def get_property(caller: Caller, server: str, printer: str, name: str) -> str:
    record = await _record(caller, server, printer)
    if name.strip().startswith(STATISTICS):  # these read the history of jobs, so only who wants them pays for it
        jobs, impressions = await caller.read(queue_totals, record.queue_id)
        record = replace(record, jobs=jobs, impressions=impressions)
    return printer_property(record, name)


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


async def _record(caller: Caller, server: str, printer: str) -> PrinterRecord:
    if not server.strip():
        raise Fault(Code.SERVER_NAME_BLANK, "The server name is blank")
    if not printer.strip():
        raise Fault(Code.PRINTER_NAME_BLANK, "The printer name is blank")
    record = await caller.read(printer_record, server.strip(), printer.strip(), caller.ledger.decimals)
    if record is None:
        raise printer_unknown(server, printer)
    return record
