"""What can go wrong at the one door.

IntakeError
+-- CommandConflict   the id was used with other content; asking again does not help
+-- Overloaded        too much is waiting; another server may have room
+-- Unavailable       certainly nothing happened; ask another server, or again
+-- OutcomeUnknown    it happened once or not at all; asking again with the same id tells which
StoreFault            raised by a store's session to the batch loop, see its subclasses
+-- BatchRejected     the data of the batch cannot be written; run its commands one by one
+-- ConnectionFault   the database went away; `commit_sent` says whether the outcome is open
"""


class IntakeError(Exception):
    """A command that was not answered; `code` is its problem code on the wire."""

    code = "internal"


class CommandConflict(IntakeError):
    code = "command-conflict"


class Overloaded(IntakeError):
    code = "overloaded"


class Unavailable(IntakeError):
    code = "unavailable"


class OutcomeUnknown(IntakeError):
    code = "outcome-unknown"


class StoreFault(Exception):
    """A batch that did not go through."""


class BatchRejected(StoreFault):
    """The batch fails on its data (a constraint, a deadlock): nothing of it is written."""


class ConnectionFault(StoreFault):
    """The database cannot be asked now. With `commit_sent` the batch may have been written.

    `wait_s`: how long from the first fault new commands may wait instead of being refused, because another primary is
    to be expected.
    """

    def __init__(self, reason: str, *, commit_sent: bool, wait_s: float = 0.0) -> None:
        super().__init__(reason)
        self.commit_sent = commit_sent
        self.wait_s = wait_s
