"""What the database side may raise.

DatabaseError
├── DatabaseAway       it cannot be asked now; another server, or this one later, may answer
├── DatabaseRefused    it must not be used as it is: the URL, the file's place, its schema; a person has to act
└── WriteConflict      the write met something that exists already (a unique name); asking again does not help
"""


class DatabaseError(Exception):
    """Base of this package's errors; the text is one line for people."""


class DatabaseAway(DatabaseError):
    """Down, unreachable, read-only, too slow or too busy.

    `lost`: a connection broke, another may work. `unreachable`: no connection could be had, or nothing came in time;
    who asks next would fare no better. `begun`: the work had begun, so it may have been done.
    """

    def __init__(self, reason: str, *, lost: bool = False, unreachable: bool = False, begun: bool = False) -> None:
        super().__init__(reason)
        self.begun = begun
        self.lost = lost
        self.unreachable = unreachable


class DatabaseRefused(DatabaseError):
    """Wrong or unsafe to use."""


class WriteConflict(DatabaseError):
    """A unique key is taken."""
