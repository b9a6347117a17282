"""Guards against Qt bindings that lose references to None.

PySide6 6.12.0 takes one reference from None at each call of a void Qt method; on Python 3.11, where None is not
immortal, the process aborts after some thousands of calls. A bump of PySide6 must not bring that back.
"""

import sys

from PySide6.QtGui import QPen

CALLS = 2000


def test_void_qt_methods_keep_the_references_of_none() -> None:
    pen = QPen()
    before = sys.getrefcount(None)
    for _ in range(CALLS):
        pen.setWidthF(1.0)
    lost = before - sys.getrefcount(None)
    assert abs(lost) < CALLS / 4
