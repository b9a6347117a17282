"""What a PaperCut client is told when a call cannot be done: a number and a sentence.

The numbers are those of PaperCut's own list (its wiki page WebServices-Error-Codes); what has none there is 257. Java
clients cut whatever looks like a class name and a colon (`srv.x: …`) out of the text, so none of our texts holds one,
even where a user's own words do.
"""

import enum
import re


class Code(enum.IntEnum):
    GENERAL = 257
    PASSWORD_BLANK = 258
    USER_NAME_BLANK = 259
    PROPERTY_NAME_BLANK = 260
    PROPERTY_INVALID = 261
    USER_UNKNOWN = 262
    GROUP_UNKNOWN = 263
    OVERDRAFT_INVALID = 264
    ALIAS_TAKEN = 267
    EMAIL_INVALID = 269
    PIN_INVALID = 271
    BALANCE_INVALID = 275
    ID_BLANK = 276
    ALIAS_BLANK = 277
    FULL_NAME_BLANK = 278
    EMAIL_BLANK = 279
    GROUP_NAME_BLANK = 280
    SERVER_NAME_BLANK = 281
    PRINTER_NAME_BLANK = 282
    PRINTER_UNKNOWN = 283
    COST_MODEL_INVALID = 285


_CLASS_NAME = re.compile(r"(\w\.+\w+):")


class Fault(Exception):
    """A call's refusal: `code` is one of `Code`, the text is for people and for the clients that match it."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(_CLASS_NAME.sub(r"\1 :", text))
        self.code = code

    @property
    def text(self) -> str:
        return str(self.args[0])


def user_unknown(name: str) -> Fault:
    return Fault(Code.USER_UNKNOWN, f'User "{name[:255]}" cannot be found')


def printer_unknown(server: str, printer: str) -> Fault:
    return Fault(Code.PRINTER_UNKNOWN, f'Printer "{server[:255]}\\{printer[:255]}" cannot be found')


def property_invalid(name: str) -> Fault:
    return Fault(Code.PROPERTY_INVALID, f'Property "{name[:255]}" is invalid')
