"""What printers.service may raise. PrinterError └── QueueUnknown."""


class PrinterError(Exception):
    """Base; the text is one line for people."""


class QueueUnknown(PrinterError):
    """There is no such queue."""
