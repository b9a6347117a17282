"""`make run` beside its story: where it keeps its state, what it does about a part that died."""

import os
import re
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.demo.cast import Part
from scripts.demo.state import LONGEST_SOCKET, State, choose_folder, listen_address, only_one, prepare
from scripts.demo.supervisor import RESTART_S, Supervisor, how_it_ended, seconds_left
from scripts.demo.voice import Voice
from tests.support.folders import SOCKET_PATH_LIMIT
from tests.support.processes import Failed, Process


@pytest.fixture
def state(scratch: Path) -> State:
    state = State(scratch / ".run", elsewhere=False)
    prepare(state)
    return state


# ---------------------------------------------------------------- the state folder


def test_a_clone_that_everybody_can_enter_keeps_its_state_itself(scratch: Path) -> None:
    state = choose_folder(scratch)
    assert (state.folder, state.elsewhere) == (scratch / ".run", False)


def test_a_deep_or_closed_clone_keeps_its_state_in_a_short_folder_of_its_own(scratch: Path) -> None:
    deep = scratch / "/".join(["quite-a-long-name"] * 8)
    deep.mkdir(parents=True)
    closed = scratch / "home"
    closed.mkdir(mode=0o700)
    tops = [deep, deep / "other"] + ([closed / "clone"] if os.geteuid() == 0 else [])
    chosen = {choose_folder(top).folder for top in tops}
    assert len(chosen) == len(tops), "two clones must not share a state"
    for folder in chosen:
        assert folder.parent == Path("/var/tmp")
        assert len(str(folder / LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT
    assert choose_folder(deep) == choose_folder(deep)


def test_a_folder_that_somebody_else_put_there_is_refused(scratch: Path) -> None:
    trap = scratch / "trap"
    trap.symlink_to("/etc")
    with pytest.raises(Failed, match="not a folder of ours"):
        prepare(State(trap, elsewhere=True))


def test_secrets_are_for_their_owner_alone(state: State) -> None:
    assert state.secret("token") == ""
    state.keep_secret("token", "ik_first")
    state.keep_secret("token", "ik_second")
    assert state.secret("token") == "ik_second"
    assert stat.S_IMODE(state.secret_path("token").stat().st_mode) == 0o600
    assert stat.S_IMODE(state.secret_path("").stat().st_mode) == 0o700


def test_ports_stay_the_same_over_starts(state: State) -> None:
    assert state.port("cups") != state.port("printer")
    assert State(state.folder, elsewhere=False).port("cups") == state.port("cups")


def test_a_second_start_beside_the_first_is_refused(state: State) -> None:
    with only_one(state), pytest.raises(Failed, match="runs already"), only_one(state):
        pass


def test_a_listen_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INKEEPER_SERVER_LISTEN", "nine thousand")
    with pytest.raises(Failed, match="INKEEPER_SERVER_LISTEN"):
        listen_address()
    monkeypatch.setenv("INKEEPER_SERVER_LISTEN", "127.0.0.1:9393")
    assert listen_address() == ("127.0.0.1", 9393)


# ---------------------------------------------------------------- what died


@given(died_at=st.floats(0, 1e9), after=st.floats(0, 1e6))
def test_the_countdown_never_shows_less_than_nothing_nor_more_than_ten(died_at: float, after: float) -> None:
    assert 0.0 <= seconds_left(died_at, died_at + after) <= RESTART_S + 1e-6


@pytest.mark.parametrize(
    ("exit_code", "said"),
    [(0, "ended with exit code 0"), (1, "ended with exit code 1"), (-9, "was killed (SIGKILL)"), (-99, "signal 99")],
)
def test_how_a_part_ended_is_said_in_words(exit_code: int, said: str) -> None:
    assert said in how_it_ended(exit_code)


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[Process]:
    with Process("sleeper", ["sleep", "300"], log=tmp_path / "log") as process:
        yield process


def test_what_died_is_started_again_after_ten_seconds(sleeper: Process, capsys: pytest.CaptureFixture[str]) -> None:
    supervisor = Supervisor([Part("sleeper", sleeper, sleeper.start, sleeper.stop)], Voice("make run"))
    supervisor.look(now=100.0)
    assert capsys.readouterr().out == ""
    sleeper.kill9()
    supervisor.look(now=101.0)
    supervisor.look(now=110.9)
    assert sleeper.exit_code == -signal.SIGKILL
    supervisor.look(now=111.0)
    assert sleeper.running
    assert re.search(r"was killed \(SIGKILL\)(.|\n)*runs again", capsys.readouterr().out)


def test_what_cannot_be_started_is_tried_again_ten_seconds_later(
    sleeper: Process, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = []

    def refuse() -> None:
        tries.append(signal.SIGKILL)
        raise Failed("no room\nand a long log")

    supervisor = Supervisor([Part("sleeper", sleeper, refuse, sleeper.stop)], Voice("make run"))
    sleeper.kill9()
    for now in (1.0, 11.0, 12.0, 20.9, 21.0):
        supervisor.look(now)
    assert len(tries) == 2
    said = capsys.readouterr().out
    assert "did not start: no room" in said
    assert "long log" not in said
