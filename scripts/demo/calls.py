"""What `make run` asks the server: over the JSON API and over XML-RPC, as any outside program would."""

import xmlrpc.client
from typing import TypeVar
from xml.parsers.expat import ExpatError

import httpx
import msgspec

from backend.wire.errors import Problem
from backend.wire.jobs import JobList, JobView
from backend.wire.money import TransferList, TransferView
from backend.wire.people import UserList, UserView
from backend.wire.printers import QueueList, QueueView, SetQueue
from tests.support.processes import Failed

T = TypeVar("T")
TIMEOUT_S = 5.0


class Api:
    """The JSON API of one server. Every call raises Failed with one line: no answer, or the server's own refusal."""

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def ready(self) -> bool:
        try:
            return self._http.get("/health/ready").status_code == httpx.codes.OK
        except (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError):
            return False

    def user(self, name: str) -> UserList:
        return self._ask("GET", f"/api/v1/users/{name}", UserList)

    def jobs_of(self, name: str) -> tuple[JobView, ...]:
        return self._ask("GET", f"/api/v1/users/{name}/jobs?limit=20", JobList).jobs

    def transfers_of(self, name: str, limit: int) -> tuple[TransferView, ...]:
        return self._ask("GET", f"/api/v1/users/{name}/transfers?limit={limit}", TransferList).transfers

    def jobs(self) -> JobList:
        return self._ask("GET", "/api/v1/jobs?limit=50", JobList)

    def queues(self) -> QueueList:
        return self._ask("GET", "/api/v1/queues", QueueList)

    def set_price(self, queue: QueueView, per_impression: int) -> None:
        self._ask("POST", f"/api/v1/queues/{queue.queue_id}", QueueList, SetQueue(cost_per_impression=per_impression))

    def _ask(self, method: str, path: str, answer: type[T], body: msgspec.Struct | None = None) -> T:
        content = msgspec.json.encode(body) if body is not None else None
        kind = {"Content-Type": "application/json"} if body is not None else {}
        try:
            response = self._http.request(method, path, content=content, headers=kind)
        except httpx.TransportError as error:
            raise Failed(f"no answer from the server at {self.url} ({error or type(error).__name__})") from error
        if response.is_error:
            raise Failed(f"the server refused {method} {path}: {_why(response)}")
        try:
            return msgspec.json.decode(response.content, type=answer)
        except msgspec.MsgspecError as error:
            raise Failed(f"the server's answer to {method} {path} is not understood: {error}") from error


def only_user(found: UserList, name: str) -> UserView:
    for user in found.users:
        if user.name == name:
            return user
    raise Failed(f"the server knows no user {name}")


def _why(response: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(response.content, type=Problem)
    except msgspec.MsgspecError:
        return f"status {response.status_code}"
    return f"{response.status_code} {problem.detail or problem.title}"


class XmlRpc:
    """The PaperCut-compatible API of one server."""

    def __init__(self, url: str, token: str) -> None:
        self._url = f"{url}/rpc/api/xmlrpc"
        self._token = token

    def call(self, method: str, *arguments: str | float | bool) -> object:
        """Raises Failed where there is no answer, or the server's fault is one."""
        body = xmlrpc.client.dumps((self._token, *arguments), f"api.{method}").encode()
        try:
            response = httpx.post(
                self._url, content=body, headers={"Content-Type": "text/xml"}, timeout=TIMEOUT_S, trust_env=False
            )
            response.raise_for_status()
            (answer,), _method = xmlrpc.client.loads(response.content)
        except (httpx.HTTPError, xmlrpc.client.Error, ExpatError, ValueError) as error:
            raise Failed(f"{method} by XML-RPC failed: {error}") from error
        return answer
