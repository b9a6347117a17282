"""The XML-RPC interface as a script uses it: one call, one server, a deadline, and never a second try."""

import http.client
import xmlrpc.client
from dataclasses import dataclass

CALL_S = 10.0


class _Timed(xmlrpc.client.Transport):
    def make_connection(self, host: str | tuple[str, dict[str, str]]) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = CALL_S
        return connection


@dataclass(frozen=True)
class Rpc:
    """Calls of one server, with the token of the web services."""

    url: str
    token: str

    def call(self, method: str, *arguments: str | float) -> object:
        """Raises OSError, HTTPException or ProtocolError where no answer came, Fault where the answer is no."""
        with xmlrpc.client.ServerProxy(f"{self.url}/rpc/api/xmlrpc", transport=_Timed()) as proxy:
            return proxy.__getattr__(f"api.{method}")(self.token, *arguments)

    def add_user(self, name: str, *, restricted: bool, balance: float) -> None:
        self.call("addNewInternalUser", name, "a-password", name.title(), f"{name}@example.org", "", "")
        self.call("setUserProperty", name, "restricted", str(restricted).upper())
        if balance:
            self.call("setUserAccountBalance", name, balance, "start")
