"""What this room may raise. AccessError ├── EnrolmentRefused  ├── TokenUnknown  ├── TokenNameTaken  ├── OperatorUnknown
├── OperatorNameTaken  ├── LastAdministrator  └── PasswordTooShort."""


class AccessError(Exception):
    """Base; the text is one line for people."""


class EnrolmentRefused(AccessError):
    """The enrolment token is not valid, or was used with another secret."""


class TokenUnknown(AccessError):
    """There is no such token."""


class TokenNameTaken(AccessError):
    """The name is somebody's who logs in."""


class OperatorUnknown(AccessError):
    """There is nobody of that name who may log in."""


class OperatorNameTaken(AccessError):
    """The name is somebody's, or a program's."""


class LastAdministrator(AccessError):
    """Nobody could administer any more."""


class PasswordTooShort(AccessError):
    """The password is too short."""
