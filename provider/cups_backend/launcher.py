#!/usr/bin/python3 -IS
"""ServerBin/backend/inkeeper: starts `inkeeper.py`, which stands in ServerBin, from its compiled form.

Compiling is more than a third of the backend's start, and its start is part of every job. The compiled form counts only
for the Python and for the source that it was made from, and only while it is whole; else the source is compiled.
"""

import marshal
import sys
from _frozen_importlib_external import MAGIC_NUMBER
from binascii import crc32


def start(base: str) -> None:
    """Run `base`.py, from `base`.code where that was made from it."""
    with open(base + ".py", "rb") as file:
        source = file.read()
    try:
        with open(base + ".code", "rb") as file:
            kept = file.read()
    except OSError:
        kept = b""
    code = kept[12:]
    whole = kept[:12] == MAGIC_NUMBER + crc32(source).to_bytes(4, "big") + crc32(code).to_bytes(4, "big")
    exec(marshal.loads(code) if whole else compile(source, base + ".py", "exec"), {"__name__": "__main__"})


if __name__ == "__main__":
    start(sys.argv[0].rpartition("/")[0].rpartition("/")[0] + "/inkeeper")
