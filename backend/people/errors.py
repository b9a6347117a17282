"""What people.service may raise.

PeopleError
├── NameTaken    there is a user of that name, or somebody has it as an alias
├── AliasTaken   the alias is another user's, or another user's name
├── CardTaken    another user has that card
├── UserUnknown  there is no user of that name
└── UserBusy     jobs of the user hold money that is reserved
"""


class PeopleError(Exception):
    """Base; the text is one line for people."""


class NameTaken(PeopleError):
    """There is a user of that name, or somebody has it as an alias."""


class AliasTaken(PeopleError):
    """Another user has that alias, or it is another user's name."""


class CardTaken(PeopleError):
    """Another user has that card."""


class UserUnknown(PeopleError):
    """There is no user of that name."""


class UserBusy(PeopleError):
    """Jobs of the user hold money that is reserved: they must end first."""
