"""What the first start does once: tokens, demo users, a tracked queue with a price, a few documents.

Every step looks first whether it was done, or can be done again without harm, since Ctrl-C may come between any two.
"""

import secrets
import shutil
from pathlib import Path
from typing import NamedTuple

from backend.wire.printers import QueueView
from scripts.demo.calls import Api, XmlRpc
from scripts.demo.cast import PROVIDER_NAME, QUEUE, Cast
from scripts.demo.state import TOP, State
from tests.support.processes import Failed, wait_until

PRICE = "0.05"
RPC_TOKEN = "auth.webservices.auth-token"
INVITATION = "enrolment-token"
ADMINISTRATOR = "admin"
PASSWORD = "admin-password"


class DemoUser(NamedTuple):
    name: str
    full_name: str
    email: str
    balance: float
    restricted: bool


USERS = (
    DemoUser("alice", "Alice Andersson", "alice@example.org", 50.0, False),
    DemoUser("bruno", "Bruno Keller", "bruno@example.org", 20.0, True),
    DemoUser("chloe", "Chloé Dubois", "chloe@example.org", 0.12, True),
)


def make_tokens(cast: Cast) -> str:
    """Make what opens the server's two interfaces. The admin token when it is new, to be told once, else ""."""
    state = cast.state
    if not state.secret("rpc-token"):
        token = secrets.token_urlsafe(24)
        cast.server_command("config", "set", RPC_TOKEN, token)
        state.keep_secret("rpc-token", token)
    if state.secret("admin-token"):
        return ""
    token = cast.server_command("token", "create", "--role", "admin", "--name", "make-run")
    state.keep_secret("admin-token", token)
    return token


def make_administrator(cast: Cast) -> None:
    """Somebody who may log in to the console."""
    state = cast.state
    if state.done("administrator"):
        return
    if not state.secret(PASSWORD):
        state.keep_secret(PASSWORD, secrets.token_urlsafe(9))
    known = cast.server_command("operator", "list")
    verb = ("set-password",) if known.startswith(f"{ADMINISTRATOR}\t") else ("create", "--role", "admin")
    cast.server_command("operator", *verb, "--name", ADMINISTRATOR, typed=f"{state.secret(PASSWORD)}\n")
    state.mark_done("administrator")


def add_users(cast: Cast) -> None:
    rpc = XmlRpc(cast.url, cast.state.secret("rpc-token"))
    for user in USERS:
        if rpc.call("isUserExists", user.name) is True:
            continue
        password = secrets.token_urlsafe(12)
        rpc.call("addNewInternalUser", user.name, password, user.full_name, user.email, "", "")
        rpc.call("setUserProperty", user.name, "restricted", str(user.restricted).upper())
        rpc.call("setUserAccountBalance", user.name, user.balance, "start of the demonstration")


def add_queue(cast: Cast) -> None:
    """A queue in front of the printer: first as CUPS sets it up, then tracked."""
    if cast.cupsd.device_uri(QUEUE).startswith("inkeeper:"):
        return
    cast.cupsd.add_queue(QUEUE, cast.printer.uri, ["printer-is-shared=false"])
    cast.provider_command("track", QUEUE)


def enroll(cast: Cast) -> None:
    """The same invitation is good for a second try; it is forgotten only when the provider is in."""
    state = cast.state
    if state.done("enrolled"):
        return
    if not state.secret(INVITATION):
        state.keep_secret(
            INVITATION, cast.server_command("token", "create", "--role", "provider", "--name", PROVIDER_NAME)
        )
    cast.provider_command("enroll", "--server", cast.url, "--token", state.secret(INVITATION))
    state.mark_done("enrolled")
    state.secret_path(INVITATION).unlink()


def set_price(cast: Cast, api: Api) -> None:
    """Only once: who changes the price later keeps it."""
    if cast.state.done("priced"):
        return

    def known() -> QueueView | None:
        return next((queue for queue in api.queues().queues if queue.name == QUEUE), None)

    queue = wait_until(known, 20, "the server to hear of the queue from its provider", 0.2)
    decimals = api.queues().ledger.decimals
    api.set_price(queue, int(float(PRICE) * 10**decimals))
    cast.state.mark_done("priced")


def copy_documents(state: State) -> list[Path]:
    """The demo documents, where any user may read them."""
    sources = sorted((TOP / "resources" / "demo").glob("*.pdf"))
    if not sources:
        raise Failed(f"there are no documents in {TOP / 'resources' / 'demo'}")
    for source in sources:
        target = state.documents / source.name
        if not target.exists():
            shutil.copyfile(source, target)
    return [state.documents / source.name for source in sources]
