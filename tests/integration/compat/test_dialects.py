"""What clients in other languages really send, byte for byte, and what they must find in the answer."""

import re
import socket
import xml.etree.ElementTree as ElementTree

import httpx
import pytest

from tests.integration.compat.conftest import TOKEN, Site
from tests.integration.compat.test_money import units


def call(site: Site, method: str, *values: str, **headers: str) -> httpx.Response:
    """A call with its arguments as the XML inside <value>."""
    params = "".join(f"<param><value>{value}</value></param>" for value in (TOKEN, *values))
    body = f"<methodCall><methodName>api.{method}</methodName><params>{params}</params></methodCall>"
    return send(site, body.encode(), **headers)


def send(site: Site, body: bytes, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(site.url, content=body, headers={"content-type": "text/xml"} | named, trust_env=False)


def test_a_shell_script_finds_text_where_it_looks(site: Site, user: str) -> None:
    """`xmllint --xpath '//*/value/text()'` finds nothing in <value><string>K</string></value>."""
    call(site, "setUserProperty", user, "full-name", "K &amp; Ä")
    answer = call(site, "getUserProperty", user, "full-name")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/xml"
    assert b"<string>" not in answer.content
    value = ElementTree.fromstring(answer.content).find(".//param/value")
    assert value is not None
    assert (value.text, len(value)) == ("K & Ä", 0)


def test_a_java_client_finds_the_types_it_casts_to(site: Site, user: str) -> None:
    call(site, "setUserAccountBalance", user, "<i4>10</i4>", "")
    balance = call(site, "getUserAccountBalance", user)
    assert balance.text.endswith("<param><value><double>10.0</double></value></param></params></methodResponse>")
    assert re.search(r"<value><int>\d+</int></value>", call(site, "getTotalUsers").text)
    done = call(site, "adjustUserAccountBalance", user, "<double>1.0E1</double>", "c", '<ex:nil xmlns:ex="urn:x"/>')
    assert "<value><boolean>1</boolean></value>" in done.text
    assert units(site, user) == 200_000


def test_a_powershell_client_walks_array_data_value(site: Site, user: str) -> None:
    answer = call(
        site, "getUserProperties", user, "<array><data><value>balance</value><value>nope</value></data></array>"
    )
    values = ElementTree.fromstring(answer.content).findall(".//array/data/value")
    assert [value.text for value in values] == ["0.0", None]


def test_a_go_client_sends_blanks_first_and_no_declaration(site: Site, user: str) -> None:
    body = f"""  <methodCall>
    <methodName>api.isUserExists</methodName>
    <params>
      <param>
        <value>
          <string>{TOKEN}</string>
        </value>
      </param>
      <param>
        <value>
          <string>{user}</string>
        </value>
      </param>
    </params>
  </methodCall>"""
    assert b"<boolean>1</boolean>" in send(site, body.encode()).content


def test_a_perl_client_sends_digits_as_int_and_accents_as_base64(site: Site, user: str) -> None:
    call(site, "setUserProperty", user, "department", "<base64>Wm/Dqw==</base64>")
    call(site, "setUserProperty", user, "office", "<int>007</int>")
    answer = call(
        site, "getUserProperties", user, "<array><data><value>department</value><value>office</value></data></array>"
    )
    values = ElementTree.fromstring(answer.content).findall(".//array/data/value")
    assert [value.text for value in values] == ["Zoë", "007"]


def test_a_php_client_sends_latin_1(site: Site, user: str) -> None:
    value = "<?xml version='1.0' encoding='iso-8859-1'?>"
    call_text = f"<methodCall><methodName>api.setUserProperty</methodName><params>{_params(TOKEN, user, 'notes', 'é')}"
    body = f"{value}{call_text}</params></methodCall>".encode("latin-1")
    assert b"<boolean>1</boolean>" in send(site, body, content_type="text/xml; charset=iso-8859-1").content
    assert "<value>&#233;</value>" in call(site, "getUserProperty", user, "notes").text


def _params(*values: str) -> str:
    return "".join(f"<param><value>{value}</value></param>" for value in values)


@pytest.mark.parametrize("prefix", ["", "api."])
def test_with_and_without_the_namespace(site: Site, prefix: str) -> None:
    body = f"<methodCall><methodName>{prefix}getTotalUsers</methodName><params>{_params(TOKEN)}</params></methodCall>"
    assert "<int>" in send(site, body.encode()).text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"GET me out",
        b"<methodCall>",
        b"<html/>",
        b"\x00" * 100,
        b'<!DOCTYPE x [<!ENTITY a "b">]><methodCall><methodName>&a;</methodName></methodCall>',
        b"<methodCall><methodName>api.getTotalUsers</methodName></methodCall>",
        b"<methodCall><methodName>api.getTotalUsers</methodName><params><param><value><array><data/></array></value>"
        b"</param></params></methodCall>",
        b"<methodCall><methodName>a</methodName><params><param><value>" + b"x" * 10_000_000,
        b"<a>" * 300_000,
    ],
)
def test_whatever_comes_the_answer_is_a_fault_with_status_200(site: Site, body: bytes) -> None:
    answer = send(site, body)
    assert answer.status_code == 200
    assert "<name>faultCode</name><value><int>257</int></value>" in answer.text


def test_other_http_methods_are_refused(site: Site) -> None:
    assert httpx.get(site.url, trust_env=False).status_code == 405


def test_http_1_0_and_expect_continue(site: Site) -> None:
    """Old libraries speak HTTP/1.0; curl asks before it sends a large body."""
    content = f"<methodCall><methodName>api.getTotalUsers</methodName><params>{_params(TOKEN)}</params></methodCall>"
    for version, extra in ((b"1.0", b""), (b"1.1", b"Host: x\r\nExpect: 100-continue\r\nConnection: close\r\n")):
        with socket.create_connection(("127.0.0.1", site.server.port), timeout=10) as connection:
            head = b"POST /rpc/api/xmlrpc HTTP/%s\r\nContent-Length: %d\r\n%s\r\n" % (version, len(content), extra)
            connection.sendall(head)
            if extra:
                assert b"100" in connection.recv(100)
            connection.sendall(content.encode())
            answer = b""
            while data := connection.recv(4096):
                answer += data
        assert b" 200 " in answer.partition(b"\r\n")[0]
        assert b"<int>" in answer
