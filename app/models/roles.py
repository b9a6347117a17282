"""Roles that our models answer beside Qt's own, and that our delegates paint from."""

from typing import Final

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, Qt

TONE: Final = Qt.ItemDataRole.UserRole + 1
"""A Tone: the cell is painted with its mark."""

ID: Final = Qt.ItemDataRole.UserRole + 2
"""What the row stands for: a job's id, a login, a node's id."""

MUTED: Final = Qt.ItemDataRole.UserRole + 3
"""True where the text is of second rank."""

Index = QModelIndex | QPersistentModelIndex
