"""XML-RPC on the wire: bytes to calls, results to bytes, and nothing else.

Own code because the standard library's marshaller breaks clients that exist: it writes `<string>` round every text,
where shell and PowerShell clients walk `//value/text()`, and has no way to write a decimal exactly. What is written is
strict and always the same (bare text, `<double>` for every amount, ASCII only, so that no client's idea of the charset
matters); what is read is lenient (untyped values, `i4`, `i8`, `nil`, no declaration, blanks in front, 8-bit charsets).

Invariants: `parse_call` raises nothing but `Malformed`, whatever the bytes are; a document type (and with it every
entity) is refused before it is read; size, depth and number of elements are bounded; a number keeps the text it came
with, so that an amount is never rounded by a float and a card number `007` sent as an int stays `007`.
Source: xmlrpc.com/spec; the extension types of Apache XML-RPC (`ex:nil`, `ex:i8`).
"""

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal, TypeAlias
from xml.parsers import expat

MAX_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 32
MAX_ELEMENTS: Final = 20_000
MAX_PARAMS: Final = 64

Kind = Literal["string", "int", "double", "boolean"]


class Malformed(Exception):
    """The body is no XML-RPC call that we can read; the text says why, for the caller's eyes."""


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value with the type its client gave it and the text it wrote (booleans as `true` or `false`)."""

    kind: Kind
    text: str


Value: TypeAlias = "Scalar | list[Value] | dict[str, Value] | None"
Result: TypeAlias = "str | bool | int | Decimal | Sequence[Result] | Mapping[str, Result]"


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    params: tuple[Value, ...]


def parse_call(body: bytes, charset: str = "") -> Call:
    """The call in a request body. `charset` is the Content-Type's, used where the document itself names none."""
    root = _parse_document(body, charset)
    if root.tag != "methodCall":
        raise Malformed("The request is no methodCall")
    names = [child.content() for child in root.children if child.tag == "methodName"]
    if len(names) != 1 or not _METHOD.fullmatch(names[0].strip()):
        raise Malformed("The request has no methodName that can be read")
    holders = [param for child in root.children if child.tag == "params" for param in child.children]
    if len(holders) > MAX_PARAMS:
        raise Malformed(f"The call has more than {MAX_PARAMS} arguments")
    return Call(names[0].strip(), tuple(_only_value(holder, "param") for holder in holders))


def dump_result(result: Result) -> bytes:
    """The answer that carries one value. Raises ValueError for an int that XML-RPC cannot hold."""
    return _document(f"<params><param>{_dump(result)}</param></params>")


def dump_fault(code: int, text: str) -> bytes:
    return _document(f"<fault>{_dump({'faultCode': code, 'faultString': text})}</fault>")


# ---------------------------------------------------------------- reading

_METHOD = re.compile(r"[A-Za-z0-9_.:/]{1,128}")
_INT = re.compile(r"[+-]?[0-9]{1,19}")
_DOUBLE = re.compile(r"[+-]?(?:[0-9]{1,320}(?:\.[0-9]{0,320})?|\.[0-9]{1,320})(?:[eE][+-]?[0-9]{1,3})?")
_DECLARED_ENCODING = re.compile(rb"<\?xml[^>]{0,200}\bencoding\s*=")
_CHARSET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(slots=True)
class _Element:
    tag: str
    children: "list[_Element]" = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def content(self) -> str:
        if self.children:
            raise Malformed(f"<{self.tag}> holds elements where text was expected")
        return "".join(self.texts)


class _Builder:
    """Expat's handlers: a tree of bounded depth and size."""

    def __init__(self) -> None:
        self.root = _Element("")
        self._open = [self.root]
        self._count = 0

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._open) > MAX_DEPTH or self._count > MAX_ELEMENTS:
            raise Malformed("The request is nested too deep or has too many elements")
        element = _Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        self._open[-1].texts.append(text)

    def doctype(self, *_declaration: object) -> None:
        raise Malformed("Document types and entities are refused")


def _parse_document(body: bytes, charset: str) -> _Element:
    if len(body) > MAX_BYTES:
        raise Malformed(f"The request is larger than {MAX_BYTES} bytes")
    body = body.lstrip(b" \t\r\n")
    use_charset = bool(_CHARSET.fullmatch(charset)) and not _DECLARED_ENCODING.match(body)
    builder = _Builder()
    try:
        parser = expat.ParserCreate(charset if use_charset else None)
        parser.buffer_text = True
        parser.StartElementHandler = builder.start
        parser.EndElementHandler = builder.end
        parser.CharacterDataHandler = builder.text
        parser.StartDoctypeDeclHandler = builder.doctype
        parser.EntityDeclHandler = builder.doctype
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise Malformed(f"The request is no well-formed XML ({error})") from error
    except (LookupError, ValueError) as error:  # a declared encoding that Python has not, or that is no 8-bit one
        raise Malformed(f"The request's encoding cannot be read ({error})") from error
    return builder.root.children[0]


def _only_value(holder: _Element, tag: str) -> Value:
    if holder.tag != tag or len(holder.children) != 1 or holder.children[0].tag != "value":
        raise Malformed(f"<{holder.tag}> where one <{tag}> with one <value> was expected")
    return _value(holder.children[0])


def _value(element: _Element) -> Value:
    if not element.children:
        return Scalar("string", element.content())
    if len(element.children) > 1 or "".join(element.texts).strip():
        raise Malformed("A <value> holds more than one thing")
    typed = element.children[0]
    reader = _READERS.get(typed.tag)
    if reader is None:
        raise Malformed(f"<{typed.tag[:40]}> is no type of XML-RPC")
    return reader(typed)


def _read_text(element: _Element) -> Value:
    return Scalar("string", element.content())


def _read_int(element: _Element) -> Value:
    text = element.content().strip()
    if not _INT.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
        raise Malformed(f"{text[:40]!r} is no integer")
    return Scalar("int", text)


def _read_double(element: _Element) -> Value:
    text = element.content().strip()
    if not is_number(text):
        raise Malformed(f"{text[:40]!r} is no number")
    return Scalar("double", text)


def _read_boolean(element: _Element) -> Value:
    text = element.content().strip().lower()
    if text not in ("0", "1", "true", "false"):
        raise Malformed(f"{text[:40]!r} is no boolean")
    return Scalar("boolean", "true" if text in ("1", "true") else "false")


def _read_base64(element: _Element) -> Value:
    """Text: Perl's XMLRPC::Lite wraps every string that is not ASCII in base64."""
    try:
        raw = b64decode("".join(element.content().split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("A base64 value cannot be decoded") from error
    if b"\0" in raw:
        raise Malformed("A base64 value holds a NUL byte")
    try:
        return Scalar("string", raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Scalar("string", raw.decode("latin-1"))


def _read_array(element: _Element) -> Value:
    if len(element.children) != 1 or element.children[0].tag != "data":
        raise Malformed("An <array> without its <data>")
    items = element.children[0].children
    if any(item.tag != "value" for item in items):
        raise Malformed("An <array> holds something else than values")
    return [_value(item) for item in items]


def _read_struct(element: _Element) -> Value:
    members: dict[str, Value] = {}
    for member in element.children:
        tags = sorted(child.tag for child in member.children)
        if member.tag != "member" or tags != ["name", "value"]:
            raise Malformed("A <struct> holds something else than members")
        by_tag = {child.tag: child for child in member.children}
        members[by_tag["name"].content()] = _value(by_tag["value"])
    return members


def _read_nil(_element: _Element) -> Value:
    return None


_READERS: Final[dict[str, Callable[[_Element], Value]]] = {
    "string": _read_text,
    "dateTime.iso8601": _read_text,
    "int": _read_int,
    "i1": _read_int,
    "i2": _read_int,
    "i4": _read_int,
    "i8": _read_int,
    "double": _read_double,
    "boolean": _read_boolean,
    "base64": _read_base64,
    "array": _read_array,
    "struct": _read_struct,
    "nil": _read_nil,
}

# ---------------------------------------------------------------- writing

_UNWRITABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


def is_number(text: str) -> bool:
    """Whether a text is a number as XML-RPC and Java write one: ASCII digits, a point, at most a small exponent."""
    return bool(_DOUBLE.fullmatch(text))


def number_text(number: Decimal) -> str:
    """A decimal as XML-RPC and Java write a double, without an exponent: `10.0`, `0.015`, `-1.5`."""
    whole, _, fraction = f"{number:f}".partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def _document(content: str) -> bytes:
    text = f'<?xml version="1.0" encoding="UTF-8"?><methodResponse>{content}</methodResponse>'
    return text.encode("ascii", "xmlcharrefreplace")


def _escape(text: str) -> str:
    return _UNWRITABLE.sub("\ufffd", text).translate(_ESCAPES)


def _dump(result: Result) -> str:
    match result:
        case str():
            return f"<value>{_escape(result)}</value>"
        case bool():
            return f"<value><boolean>{int(result)}</boolean></value>"
        case int():
            if not -(2**31) <= result < 2**31:
                raise ValueError(f"{result} does not fit an XML-RPC int")
            return f"<value><int>{result}</int></value>"
        case Decimal():
            return f"<value><double>{number_text(result)}</double></value>"
        case Mapping():
            members = (f"<member><name>{_escape(name)}</name>{_dump(item)}</member>" for name, item in result.items())
            return f"<value><struct>{''.join(members)}</struct></value>"
        case _:
            return f"<value><array><data>{''.join(_dump(item) for item in result)}</data></array></value>"
