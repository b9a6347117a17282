"""`scripts/balance USER`: asks the server that `make run` started for a user's balance and last transfers."""

import argparse
import sys
import time
from pathlib import Path

from backend.wire.money import TransferView
from scripts.demo.calls import Api, only_user
from scripts.demo.state import TOP, State, choose_folder
from scripts.demo.story import money
from scripts.demo.voice import Voice
from tests.support.processes import Failed

SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/balance", description="A user's balance and last transfers.")
    parser.add_argument("user")
    parser.add_argument("--state", metavar="FOLDER", type=Path, help="where `make run` keeps its state; default: .run")
    arguments = parser.parse_args()
    voice = Voice("scripts/balance")
    try:
        state = State(arguments.state, elsewhere=False) if arguments.state else choose_folder(TOP)
        url = state.url()
        token = state.secret("admin-token")
        if not url or not token:
            raise Failed("nothing was started here yet; `make run` does")
        tell(Api(url, token), arguments.user, voice)
    except (Failed, PermissionError) as error:
        voice.complain(str(error))
        return 1
    return 0


def tell(api: Api, name: str, voice: Voice) -> None:
    found = api.user(name)
    user = only_user(found, name)
    ledger = found.ledger
    voice.line(user.name, f"{money(user.balance, ledger)}, of which {money(user.available, ledger)} can be spent")
    for transfer in api.transfers_of(name, SHOWN):
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(transfer.at / 1000))
        voice.event(when, f"{money(transfer.amount, ledger):>14}  {_words(transfer)}")


def _words(transfer: TransferView) -> str:
    """Why, and what it did to the balance where that is not plain: a reservation moves nothing yet."""
    done = {"pending": " (reserved)", "voided": " (given back)", "expired": " (given back)"}.get(transfer.kind, "")
    return f"{transfer.code}{done} {transfer.comment}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
