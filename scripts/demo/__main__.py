"""The command behind `make run`. Exit codes: 0 done or ended by Ctrl-C, 1 with one line that says what failed."""

import argparse
import os
import signal
import sys
from pathlib import Path
from shlex import quote
from types import FrameType

from scripts.demo import first_time
from scripts.demo.calls import Api
from scripts.demo.cast import PROVIDER_NAME, QUEUE, START_TIMEOUT_S, Cast, clean_environment, program
from scripts.demo.state import TOP, State, choose_folder, listen_address, only_one, prepare
from scripts.demo.story import USER, print_and_charge
from scripts.demo.supervisor import keep_running
from scripts.demo.voice import Voice
from tests.support.processes import Failed, Process


class Interrupted(Exception):
    """Ctrl-C, or another signal that means the end; its name."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make run", description="Start Inkeeper on this machine and charge a document."
    )
    parser.add_argument("--once", action="store_true", help="end by itself once the document is charged")
    parser.add_argument("--state", metavar="FOLDER", type=Path, help="keep the state there; default: .run")
    arguments = parser.parse_args()
    voice = Voice("make run")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        state = State(arguments.state, elsewhere=False) if arguments.state else choose_folder(TOP)
        prepare(state)
        with only_one(state):
            perform(state, voice, arguments.once)
    except Interrupted as signal_name:
        voice.title(f"Ended by {signal_name}; nothing is left running")
    except Failed as error:
        voice.countdown("")
        voice.complain(_one_line(error))
        return 1
    return 0


def perform(state: State, voice: Voice, once: bool) -> None:
    """The whole play. Whatever way it ends, every program that was started is ended."""
    cast = Cast(state, *listen_address())
    cast.check_ports()
    try:
        voice.title("Inkeeper")
        if state.elsewhere:
            voice.line(
                "state", f"{state.folder}  (in this clone cupsd could not reach it, or socket paths would be too long)"
            )
        else:
            voice.line("state", str(state.folder))
        new_token = start(cast, voice)
        api = Api(cast.url, state.secret("admin-token"))
        documents = set_up(cast, api, voice)
        print_and_charge(cast, api, documents[0], voice)
        tell_places(cast, voice, new_token)
        tell_lines(cast, documents[0], voice)
        if not once:
            open_console(cast, voice)
            voice.title("Running; Ctrl-C ends everything")
            keep_running(cast, api, voice)
    finally:
        voice.countdown("")
        stop_all()
        cast.forget_server()


def start(cast: Cast, voice: Voice) -> str:
    """Start what needs no other. The admin token when it is new, else ""."""
    cast.write_settings()
    with voice.doing("Starting the database, a printer and a print system"):
        cast.server_command("migrate")
        token = first_time.make_tokens(cast)
        first_time.make_administrator(cast)
        cast.printer.start()
        cast.cupsd.start()
    with voice.doing("Starting the server"):
        cast.start_server()
        api = Api(cast.url, "")
        cast.server.wait_for(api.ready, START_TIMEOUT_S, "it was ready")
        api.close()
    return token


def set_up(cast: Cast, api: Api, voice: Voice) -> list[Path]:
    """Users, queue and provider as the first start leaves them; the demo documents."""
    with voice.doing("Setting up users, a tracked queue and its provider"):
        first_time.add_users(cast)
        first_time.enroll(cast)
        first_time.add_queue(cast)
        cast.provider.start()
        cast.provider.wait_for(cast.provider_ready, START_TIMEOUT_S, "the provider was in touch with the server")
        first_time.set_price(cast, api)
    return first_time.copy_documents(cast.state)


def tell_places(cast: Cast, voice: Voice, new_token: str) -> None:
    state = cast.state
    voice.title("Where everything is")
    voice.line("server", f"{cast.url}  (JSON /api/v1, XML-RPC /rpc/api/xmlrpc, log {state.server_log})")
    voice.line("queue", f"{cast.cupsd.uri}/printers/{QUEUE}  (to the server it is {PROVIDER_NAME}\\{QUEUE})")
    voice.line("printer", f"{cast.printer.uri}  (what it printed: {cast.printer.spool})")
    voice.line("provider", f"{state.provider_socket}  (log {state.provider_log})")
    password = state.secret(first_time.PASSWORD)
    voice.line("console", f"log in as {first_time.ADMINISTRATOR} with the password {password}", "yellow")
    kept = state.secret_path("admin-token")
    if new_token:
        voice.line("admin token", f"{new_token}  (told this once; kept in {kept})", "yellow")
    else:
        voice.line("admin token", f"in {kept}")


def tell_lines(cast: Cast, document: Path, voice: Voice) -> None:
    balance = quote(str(TOP / "scripts" / "balance"))
    where = "" if cast.state == choose_folder(TOP) else f"--state={quote(str(cast.state.folder))} "
    lp = f"lp -h 127.0.0.1:{cast.cupsd.port} -d {QUEUE} -U {USER}"
    voice.title("Three lines to try in another terminal")
    voice.to_paste(
        (
            ("print a file of your own", f"{lp} YOUR.pdf"),
            (
                "kill the server and print: it is charged when the server is back, 10 s later",
                f"kill -9 $(cat {quote(str(cast.state.server_pid))}); {lp} {quote(str(document))}",
            ),
            ("look a balance up", f"{balance} {where}{USER}"),
        )
    )


def open_console(cast: Cast, voice: Voice) -> None:
    """Only where there is a display; its end is the user's affair, so nobody watches over it."""
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    environment = {
        **clean_environment(),
        "INKEEPER_CONSOLE_SERVERS": cast.url,
        "INKEEPER_CONSOLE_TOKEN_FILE": str(cast.state.secret_path("admin-token")),
    }
    Process("console", [program("inkeeper-console")], log=cast.state.console_log, env=environment).start()
    voice.line("console", "opened")


def stop_all() -> None:
    """In the reverse order of their start, deaf to further signals: a second Ctrl-C must not leave half of them."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for process in reversed(Process.live[:]):
        process.stop()


def _interrupt(number: int, _frame: FrameType | None) -> None:
    raise Interrupted("Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name)


def _one_line(error: Failed) -> str:
    """The first line says what failed, the last what the program itself said; what lies between stands in its log."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0] if len(lines) < 2 else f"{lines[0].rstrip(':')}: {lines[-1]}"


if __name__ == "__main__":
    sys.exit(main())
