"""The settings that are kept in the database, read and written by their PaperCut names."""

from backend.access.settings import SettingInvalid, read_settings, write_setting
from backend.compat import gate
from backend.compat.faults import Code, Fault
from backend.compat.methods.caller import Caller


async def get_value(caller: Caller, key: str) -> str:
    """ "" where the setting is not there, as PaperCut answers."""
    return (await caller.read(read_settings, key.strip())).get(key.strip(), "")


async def set_value(caller: Caller, key: str, value: str) -> bool:
    if key.strip() == gate.ADDRESSES_KEY:
        _check_addresses(value)
    try:
        await caller.write(write_setting, key.strip(), value, caller.actor, caller.role)
    except SettingInvalid as error:
        raise Fault(Code.GENERAL, f"The setting was refused, {error}") from error
    return True


def _check_addresses(value: str) -> None:
    """A list that cannot be read would shut everybody out, so it is refused while somebody is still in."""
    try:
        gate.address_allowed(value, "")
    except ValueError as error:
        raise Fault(Code.GENERAL, f"{gate.ADDRESSES_KEY} cannot be read, {error}") from error
