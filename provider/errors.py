"""What can go wrong on the print server's side.

ProviderError
├── JournalError     nothing can be written to disk now; its text says why. Trying again later makes sense
├── CupsError        cupsd or a printer cannot be asked, or said something that is no IPP
│   └── IppRefusal   it answered with an IPP error status: trying again changes nothing by itself
└── AnalysisError    the document cannot be looked at; it is charged by rule
"""


class ProviderError(Exception):
    """Base of this package's errors; the text is for people."""


class JournalError(ProviderError):
    """Nothing can be written down now."""


class CupsError(ProviderError):
    """cupsd, or a printer, could not be asked."""


class IppRefusal(CupsError):
    """An answer with an IPP error status (RFC 8011, section 5.4)."""

    def __init__(self, operation: str, status: int, detail: str = "") -> None:
        super().__init__(f"{operation} was refused with IPP status 0x{status:04x}{f' ({detail})' if detail else ''}")
        self.status = status


class AnalysisError(ProviderError):
    """The document could not be analysed."""
