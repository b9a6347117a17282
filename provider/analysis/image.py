"""JPEG and PNG as a printer takes them: one impression, in colour where a pixel at low resolution is.

Decoded at an eighth of its size where the format allows (JPEG), at most MAX_PIXELS pixels: a picture of more, or one
that is damaged, counts as one impression all the same, in colour where its header says so, marked as an estimate.
"""

import io
import mmap
from typing import Final

import numpy as np
from PIL import Image

from backend.wire.jobs import JobFacts
from provider.analysis.fallback import facts_of
from provider.analysis.formats import JPEG
from provider.analysis.pdfium import COLOR_TOLERANCE
from provider.analysis.ticket import AnalysisRequest

MAX_PIXELS: Final = 64_000_000  # 256 MB once decoded; a JPEG of 64 times as many is decoded at an eighth
_GREY_MODES: Final = ("1", "L", "LA", "I", "I;16", "F")
_SMALL: Final = 600  # pixels along the longer edge: 50 dpi on A4
_SHRINK: Final = 8


def examine_image(document: bytes | mmap.mmap, kind: str, request: AnalysisRequest) -> JobFacts:
    color, reason = _color(bytes(document), "JPEG" if kind == JPEG else "PNG")
    return facts_of(request, kind, len(document), impressions=1, color_impressions=int(color), estimate_reason=reason)


def _color(content: bytes, name: str) -> tuple[bool, str]:
    """Whether it has colour; why that is an estimate, "" where it is none."""
    Image.MAX_IMAGE_PIXELS = None  # the limit here depends on how it is decoded
    mode = "RGB"
    try:
        with Image.open(io.BytesIO(content), formats=(name,)) as image:
            mode = image.mode
            if mode in _GREY_MODES:
                return False, ""
            image.draft("RGB", (image.width // _SHRINK, image.height // _SHRINK))
            if image.width * image.height > MAX_PIXELS:
                return True, f"the picture has {image.width} by {image.height} pixels and was not looked at for colour"
            return _has_color(image), ""
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        return mode not in _GREY_MODES, f"the picture could not be looked at for colour: {error}"


def _has_color(image: Image.Image) -> bool:
    """By blocks, smoothed, so that grain in a grey scan is none; transparent parts are paper."""
    if image.mode in ("RGBA", "PA") or "transparency" in image.info:
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image.convert("RGBA"))
    small = image.convert("RGB")
    factor = max(max(small.size) // _SMALL, 1)
    pixels = np.asarray(small.reduce(factor) if factor > 1 else small)
    return bool((pixels.max(axis=2) - pixels.min(axis=2) > COLOR_TOLERANCE).any())
