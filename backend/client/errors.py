"""What a call to the servers may raise.

ClientError
├── ServerProblem   a server answered with a final problem (4xx): asking again changes nothing
└── NoServer        no server gave an answer in time: a retry under the same command id makes sense
"""

from collections.abc import Mapping

from backend.wire.errors import Problem


class ClientError(Exception):
    """Base of this package's errors."""


class ServerProblem(ClientError):
    """The server's refusal, as it said it; `retry_after_s` is how long it wants to be left alone (0: it did not
    say)."""

    def __init__(self, problem: Problem, retry_after_s: float = 0.0) -> None:
        super().__init__(f"{problem.title}: {problem.detail}" if problem.detail else problem.title)
        self.problem = problem
        self.retry_after_s = retry_after_s


class NoServer(ClientError):
    """`reasons` tells for each server that was asked why it did not answer, in the words to show; `in_doubt` whether a
    server may have done all the same what must not be asked for twice."""

    def __init__(self, reasons: Mapping[str, str], *, in_doubt: bool = False) -> None:
        text = "; ".join(f"{url}: {reason}" for url, reason in reasons.items())
        super().__init__(text or "no server is known")
        self.reasons = dict(reasons)
        self.in_doubt = in_doubt
