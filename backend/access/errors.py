"""What access.service may raise. AccessError └── EnrolmentRefused."""


class AccessError(Exception):
    """Base; the text is one line for people."""


class EnrolmentRefused(AccessError):
    """The enrolment token is not valid, or was used with another secret."""
