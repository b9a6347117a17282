"""The administrator's table of users: hundreds of thousands of them, of which only the pages that are looked at are
held (models/virtual.py)."""

from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import QObject, Qt

from app.core.administration import USER_ROWS, UserSort
from app.core.users import cards_text, overdraft_text, standing
from app.core.viewdata import money
from app.models.roles import ID, MUTED, TONE, Index
from app.models.table import RIGHT
from app.models.virtual import VirtualModel
from backend.wire.base import Ledger
from backend.wire.people import UserView

NAME, FULL_NAME, DEPARTMENT, STATE, BALANCE, AVAILABLE, LIMIT, OVERDRAFT, CARDS, JOBS = range(10)
HEADERS: Final = (
    "Login", "Name", "Department", "Printing", "Balance", "Available", "Limited to", "Overdraft", "Cards", "Jobs",
)  # fmt: skip
NUMBERS: Final = frozenset({BALANCE, AVAILABLE, OVERDRAFT, JOBS})
SORTS: Final[dict[int, UserSort]] = {NAME: "name", FULL_NAME: "full_name", BALANCE: "balance"}


class UserListModel(VirtualModel[UserView]):
    headers = HEADERS
    numbers = NUMBERS

    def __init__(self, parent: QObject | None, need: Callable[[int, int], None]) -> None:
        super().__init__(parent, need, USER_ROWS)
        self.ledger = Ledger(currency="", decimals=0)
        self.now_ms = 0

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        column = index.column()
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if column in NUMBERS else None
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            user = self.wanted(index.row())
            return "…" if user is None else self._text(user, column)
        user = self.row_at(index.row())
        if user is None:
            return None
        if role == TONE:
            return standing(user, self.now_ms)[1] if column == STATE else "error" if self._below(user, column) else None
        if role == MUTED:
            return column in (DEPARTMENT, LIMIT, OVERDRAFT, CARDS, JOBS)
        if role == ID:
            return user.name
        return self._text(user, column) if role == Qt.ItemDataRole.ToolTipRole else None

    def _below(self, user: UserView, column: int) -> bool:
        return column == BALANCE and user.balance < 0

    def _text(self, user: UserView, column: int) -> str:
        match column:
            case 0:
                return user.name
            case 1:
                return user.full_name
            case 2:
                return user.department
            case 3:
                return standing(user, self.now_ms)[0]
            case 4:
                return money(user.balance, self.ledger)
            case 5:
                return money(user.available, self.ledger) if user.restricted else "–"
            case 6:
                return "credit" if user.restricted else "no limit"
            case 7:
                return overdraft_text(user, self.ledger) if user.restricted else "–"
            case 8:
                return cards_text(user)
            case _:
                return f"{user.print_jobs:,}"
