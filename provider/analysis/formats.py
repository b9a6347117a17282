"""Which format a document is in, from its first bytes, and from what CUPS says only where they do not tell.

A queue without a driver passes anything on, so the FINAL_CONTENT_TYPE is often `application/octet-stream` around a
PDF, or a claim. A PDF behind a printer-language header (PJL) counts as one only when the header switches to PDF.
Pure.
"""

from typing import Final

HEAD_BYTES: Final = 4096

PDF: Final = "application/pdf"
URF: Final = "image/urf"
PWG_RASTER: Final = "image/pwg-raster"
CUPS_RASTER: Final = "application/vnd.cups-raster"
RASTERS: Final = (URF, PWG_RASTER, CUPS_RASTER)
POSTSCRIPT: Final = "application/postscript"
PCL: Final = "application/vnd.hp-pcl"
PCL_XL: Final = "application/vnd.hp-pclxl"
JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
TEXT: Final = "text/plain"
UNKNOWN: Final = "application/octet-stream"
_PJL: Final = b"\x1b%-12345X"
_MAGIC: Final = (
    (b"%PDF-", PDF),
    (b"%!", POSTSCRIPT),
    (b"\x04%!", POSTSCRIPT),
    (b"\xff\xd8\xff", JPEG),
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"UNIRAST\0", URF),
    (b"RaS2", PWG_RASTER),
    *((word, CUPS_RASTER) for word in (b"2SaR", b"RaS3", b"3SaR", b"RaSt", b"tSaR")),
    (b") HP-PCL XL", PCL_XL),
    (b"( HP-PCL XL", PCL_XL),
    (b"\x1bE", PCL),
)
_PJL_LANGUAGES: Final = (
    (b"PDF", PDF),
    (b"POSTSCRIPT", POSTSCRIPT),
    (b"PCLXL", PCL_XL),
    (b"PCL", PCL),
    (b"PCL3GUI", PCL),
    (b"PCLSLEEK", PCL),
)


def document_format(head: bytes, told: str) -> str:
    """The MIME type of a document that begins with `head`; `told` is what CUPS said of it, "" for nothing."""
    head = head.lstrip(b"\0").removeprefix(b"\xef\xbb\xbf")
    if head.startswith(_PJL):
        return _format_in_pjl(head.removeprefix(_PJL))
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if told == PDF and b"%PDF-" in head[:1024]:
        return PDF
    return told or UNKNOWN


def _format_in_pjl(head: bytes) -> str:
    for line in head[:HEAD_BYTES].splitlines():
        words = line.upper().replace(b"=", b" ").split()
        if words[:3] == [b"@PJL", b"ENTER", b"LANGUAGE"] and len(words) > 3:
            return next((name for word, name in _PJL_LANGUAGES if words[3] == word), UNKNOWN)
    return UNKNOWN
