"""What people.service may raise. PeopleError ├── NameTaken  ├── CardTaken  └── UserUnknown."""


class PeopleError(Exception):
    """Base; the text is one line for people."""


class NameTaken(PeopleError):
    """There is a user of that name."""


class CardTaken(PeopleError):
    """Another user has that card."""


class UserUnknown(PeopleError):
    """There is no user of that name."""
