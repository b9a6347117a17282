"""XML-RPC on the wire: what existing clients send is read, what they expect is written, and nothing hurts."""

import base64
import xmlrpc.client
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backend.compat.xmlrpc import MAX_BYTES, Call, Malformed, Result, Scalar, dump_fault, dump_result, parse_call


def text(value: str) -> Scalar:
    return Scalar("string", value)


def params(xml: str) -> bytes:
    return f"<methodCall><methodName>api.m</methodName><params>{xml}</params></methodCall>".encode()


def one(value: str) -> Any:
    return parse_call(params(f"<param>{value}</param>")).params[0]


# ---------------------------------------------------------------- what is written


@pytest.mark.parametrize(
    ("result", "xml"),
    [
        ("K", "<value>K</value>"),
        ("", "<value></value>"),
        ("a<b>&c\rd\n", "<value>a&lt;b&gt;&amp;c&#13;d\n</value>"),
        ("é€😀", "<value>&#233;&#8364;&#128512;</value>"),
        ("a\x00\x1b\ud800b", "<value>a&#65533;&#65533;&#65533;b</value>"),
        (True, "<value><boolean>1</boolean></value>"),
        (False, "<value><boolean>0</boolean></value>"),
        (7, "<value><int>7</int></value>"),
        (Decimal(10), "<value><double>10.0</double></value>"),
        (Decimal("10.0000"), "<value><double>10.0</double></value>"),
        (Decimal("0.0150"), "<value><double>0.015</double></value>"),
        (Decimal("-1.5E-7"), "<value><double>-0.00000015</double></value>"),
        (Decimal("1E+7"), "<value><double>10000000.0</double></value>"),
        ([], "<value><array><data></data></array></value>"),
        (["a", "b"], "<value><array><data><value>a</value><value>b</value></data></array></value>"),
    ],
)
def test_result_is_written_as_strict_clients_want_it(result: Result, xml: str) -> None:
    document = dump_result(result)
    assert document.decode("ascii").endswith(f"<methodResponse><params><param>{xml}</param></params></methodResponse>")


def test_int_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        dump_result(2**31)


def test_fault_is_understood_by_python() -> None:
    with pytest.raises(xmlrpc.client.Fault) as caught:
        xmlrpc.client.loads(dump_fault(262, 'User "é<x>" cannot be found'))
    assert caught.value.faultCode == 262
    assert caught.value.faultString == 'User "é<x>" cannot be found'


RESULTS: st.SearchStrategy[Any] = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))
    | st.booleans()
    | st.integers(-(2**31), 2**31 - 1)
    | st.integers(-(2**53), 2**53).map(lambda units: Decimal(units).scaleb(-4)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=12,
)


@given(RESULTS)
def test_every_result_is_read_back_by_python(result: Any) -> None:
    ((back,), _) = xmlrpc.client.loads(dump_result(result))
    assert back == as_python(result)


def as_python(result: Any) -> Any:
    if isinstance(result, Decimal):
        return float(result)
    if isinstance(result, list):
        return [as_python(item) for item in result]
    if isinstance(result, dict):
        return {name: as_python(item) for name, item in result.items()}
    return result


# ---------------------------------------------------------------- what is read


def test_python_client_with_every_type() -> None:
    sent = ("tok", 5, 1.1, True, None, ["a", ("b", "c")], {"k": "v"})
    body = xmlrpc.client.dumps(sent, "api.m", allow_none=True).encode()
    assert parse_call(body) == Call(
        "api.m",
        (
            text("tok"),
            Scalar("int", "5"),
            Scalar("double", "1.1"),
            Scalar("boolean", "true"),
            None,
            [text("a"), [text("b"), text("c")]],
            {"k": text("v")},
        ),
    )


GO = b"""  <methodCall>
    <methodName>api.adjustUserAccountBalance</methodName>
    <params>
      <param>
        <value>
          <string>tok</string>
        </value>
      </param>
      <param>
        <value>
          <double>-1.5</double>
        </value>
      </param>
    </params>
  </methodCall>"""

SHELL = (
    b"<?xml version='1.0'?><methodCall><methodName>api.getUserProperty</methodName><params>"
    b"<param><value>tok</value></param><param><value>bob &amp; co</value></param></params></methodCall>\n"
)

PHP = (
    b'<?xml version="1.0" encoding="iso-8859-1"?>\r\n<methodCall>\r\n<methodName>api.m</methodName>\r\n<params>\r\n'
    b"<param>\r\n<value><string>caf\xe9 &#8364;</string></value>\r\n</param>\r\n"
    b"<param><value><i4>-3</i4></value></param></params>\r\n</methodCall>\r\n"
)

JAVA = (
    b'<?xml version="1.0" encoding="UTF-8"?><methodCall xmlns:ex="http://ws.apache.org/xmlrpc/namespaces/extensions">'
    b"<methodName>api.m</methodName><params><param><value>tok</value></param><param><value><ex:i8>12</ex:i8></value>"
    b"</param><param><value><ex:nil/></value></param><param><value><double>1.0E7</double></value></param></params>"
    b"</methodCall>"
)

PERL = (
    b'<?xml version="1.0" encoding="us-ascii"?><methodCall><methodName>api.m</methodName><params><param><value><base64>'
    + base64.encodebytes("Zoë".encode())
    + b"</base64></value></param><param><value><int>007</int></value></param></params></methodCall>"
)


@pytest.mark.parametrize(
    ("body", "call"),
    [
        (GO, Call("api.adjustUserAccountBalance", (text("tok"), Scalar("double", "-1.5")))),
        (SHELL, Call("api.getUserProperty", (text("tok"), text("bob & co")))),
        (PHP, Call("api.m", (text("café €"), Scalar("int", "-3")))),
        (JAVA, Call("api.m", (text("tok"), Scalar("int", "12"), None, Scalar("double", "1.0E7")))),
        (PERL, Call("api.m", (text("Zoë"), Scalar("int", "007")))),
        (b"<methodCall><methodName>api.m</methodName></methodCall>", Call("api.m", ())),
        (b"\xef\xbb\xbf<methodCall><methodName> api.m </methodName><params/></methodCall>", Call("api.m", ())),
        ("<methodCall><methodName>api.m</methodName></methodCall>".encode("utf-16"), Call("api.m", ())),
        (params("<!-- hi --><param><value><![CDATA[<x>]]></value></param>"), Call("api.m", (text("<x>"),))),
    ],
)
def test_dialect(body: bytes, call: Call) -> None:
    assert parse_call(body) == call


def test_charset_of_the_content_type_counts_where_the_document_names_none() -> None:
    body = "<methodCall><methodName>m</methodName><params><param><value>ü</value></param></params></methodCall>"
    assert parse_call(body.encode("latin-1"), "ISO-8859-1").params == (text("ü"),)
    declared = b'<?xml version="1.0" encoding="UTF-8"?>' + body.encode()
    assert parse_call(declared, "ISO-8859-1").params == (text("ü"),)


def test_blanks_inside_text_are_kept() -> None:
    assert one("<value> a b </value>") == text(" a b ")
    assert one("<value><string> a b </string></value>") == text(" a b ")


# ---------------------------------------------------------------- what is refused

LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol">'
    + b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 30))
    + b"]><methodCall><methodName>&l29;</methodName></methodCall>"
)
QUADRATIC = (
    b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 100_000 + b'">]><methodCall><methodName>m</methodName><params><param><value>'
    + b"&a;" * 100_000
    + b"</value></param></params></methodCall>"
)  # fmt: skip
EXTERNAL = (
    b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><methodCall><methodName>m</methodName><params><param>'
    b"<value>&a;</value></param></params></methodCall>"
)
PARAMETER = b'<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/x.dtd"> %a;]><methodCall/>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"hello",
        b"<a/>",
        b"<methodCall/>",
        b"<methodCall><methodName/></methodCall>",
        b"<methodCall><methodName>a b</methodName></methodCall>",
        b"<methodCall><methodName>a</methodName><methodName>b</methodName></methodCall>",
        b"<methodCall><methodName><x/></methodName></methodCall>",
        b'<?xml version="1.0" encoding="no-such"?><methodCall><methodName>a</methodName></methodCall>',
        b'<?xml version="1.0" encoding="hex"?><methodCall><methodName>a</methodName></methodCall>',
        b"<methodCall><methodName>\xff\xfe</methodName></methodCall>",
        b"<methodCall><methodName>&x;</methodName></methodCall>",
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><methodCall><methodName>a</methodName></methodCall>',
        LAUGHS,
        QUADRATIC,
        EXTERNAL,
        PARAMETER,
        b"<a>" * 200_000,
        b"<methodCall " + b" ".join(b'a%d=""' % n for n in range(50_000)) + b"></methodCall",
        params("<param/>"),
        params("<value>x</value>"),
        params("<param><value>x</value><value>y</value></param>"),
        params("<param><value>x<int>1</int></value></param>"),
        params("<param><value><int>1</int><int>2</int></value></param>"),
        params("<param><value><int>1.5</int></value></param>"),
        params("<param><value><int>99999999999999999999</int></value></param>"),
        params("<param><value><int>9999999999999999999</int></value></param>"),
        params("<param><value><int>١</int></value></param>"),
        params("<param><value><double>NaN</double></value></param>"),
        params("<param><value><double>-Infinity</double></value></param>"),
        params("<param><value><double>1,5</double></value></param>"),
        params("<param><value><double>1e9999</double></value></param>"),
        params("<param><value><boolean>yes</boolean></value></param>"),
        params("<param><value><base64>%%%</base64></value></param>"),
        params("<param><value><base64>AA==</base64></value></param>"),
        params("<param><value><blob/></value></param>"),
        params("<param><value><array/></value></param>"),
        params("<param><value><array><data><x/></data></array></value></param>"),
        params("<param><value><struct><member><name>a</name></member></struct></value></param>"),
        params("<param><value>x</value></param>" * 65),
        params("<param>" + "<value><array><data>" * 40 + "</data></array></value>" * 40 + "</param>"),
        params("<param><value><array><data>" + "<value/>" * 30_000 + "</data></array></value></param>"),
        b" " * (MAX_BYTES + 1),
    ],
)
def test_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_call(body)


PIECES = [
    b"<methodCall>", b"</methodCall>", b"<methodName>api.m</methodName>", b"<params>", b"</params>", b"<param>",
    b"</param>", b"<value>", b"</value>", b"<int>", b"</int>", b"<double>", b"</double>", b"<array>", b"</array>",
    b"<data>", b"</data>", b"<struct>", b"</struct>", b"<member>", b"</member>", b"<name>", b"</name>", b"<nil/>",
    b"<base64>", b"</base64>", b"1", b"-1.5", b"&amp;", b"&#0;", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?xml ",
    b'version="1.0" ', b'encoding="', b"utf-8", b"utf-7", b"idna", b"rot13", b'"?>', b"<!DOCTYPE a [", b"]>", b"\xff",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40).map(b"".join), st.text(max_size=12))
@example(b'<?xml version="1.0" encoding="utf-7"?><methodCall/>', "")
@example(b"<methodCall/>", "idna")
@example(b"<methodCall/>", "utf-16")
def test_whatever_comes_is_a_call_or_malformed(body: bytes, charset: str) -> None:
    assert outcome(body, charset)


@given(st.data())
def test_a_damaged_call_is_a_call_or_malformed(data: st.DataObject) -> None:
    body = bytearray(data.draw(st.sampled_from([GO, SHELL, PHP, JAVA, PERL])))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(bytes(body[: data.draw(st.integers(0, len(body)))]), "")


def outcome(body: bytes, charset: str) -> str:
    try:
        return parse_call(body, charset).method
    except Malformed as error:
        return str(error)
