"""The people that a look-up found, in the server's order, and the transfers of one of them."""

from typing import Any, Final

from PySide6.QtCore import QAbstractListModel, QDateTime, QLocale, QModelIndex, QObject, Qt

from app.core.viewdata import Tone, actor_text, money, person_title, standing, transfer_word
from app.models.roles import ID, MUTED, TONE, Index
from app.models.table import RIGHT, ColumnsModel
from backend.wire.messages import Ledger, TransferView, UserList, UserView


class UsersModel(QAbstractListModel):
    """One row a person; the delegate paints from `user` and `balance_text`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._users: tuple[UserView, ...] = ()
        self._ledger: Ledger | None = None

    def show_found(self, found: UserList | None) -> None:
        self.beginResetModel()
        self._users = found.users if found is not None else ()
        self._ledger = found.ledger if found is not None else None
        self.endResetModel()

    def user(self, row: int) -> UserView | None:
        return self._users[row] if 0 <= row < len(self._users) else None

    def balance_text(self, user: UserView) -> str:
        return money(user.balance, self._ledger)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._users)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        user = self._users[index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return person_title(user)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            words = ", ".join(word for word, _ in standing(user))
            return f"{person_title(user)}, {user.name}, balance {self.balance_text(user)}, {words}"
        return user.name if role == ID else None


WHEN, WHY, AMOUNT, BALANCE, NOTE = range(5)
HEADERS: Final = ("When", "What", "Amount", "Balance", "Note")
NUMBERS: Final = frozenset({AMOUNT, BALANCE})

_KIND_TONES: Final[dict[str, Tone]] = {"pending": "waiting", "voided": "off", "expired": "warning"}


class TransfersModel(ColumnsModel):
    """Money moved, newest first, with the balance after each."""

    headers = HEADERS
    numbers = NUMBERS

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._transfers: tuple[TransferView, ...] = ()
        self._settled: set[str] = set()
        self._ledger: Ledger | None = None

    def show_transfers(self, transfers: tuple[TransferView, ...], ledger: Ledger | None) -> None:
        if transfers == self._transfers and ledger == self._ledger:
            return
        self.beginResetModel()
        self._transfers, self._ledger = transfers, ledger
        self._settled = {transfer.job_id for transfer in transfers if transfer.kind != "pending"}
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        return 0 if parent.isValid() else len(self._transfers)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        transfer, column = self._transfers[index.row()], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(transfer, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in NUMBERS:
            return RIGHT
        if role == TONE:
            return _KIND_TONES.get(transfer.kind) if column == WHY and not self._over(transfer) else None
        if role == MUTED:
            return column in (WHEN, NOTE) or transfer.kind != "posted"
        if role == ID:
            return str(transfer.sequence)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{transfer.kind} {actor_text(transfer.actor)}".strip()
        return None

    def _over(self, transfer: TransferView) -> bool:
        """A reservation that was settled since: history, nothing that is still held back."""
        return transfer.kind == "pending" and transfer.job_id in self._settled

    def _text(self, transfer: TransferView, column: int) -> str:
        match column:
            case 0:
                moment = QDateTime.fromMSecsSinceEpoch(transfer.at)
                return QLocale.system().toString(moment, "d MMM, HH:mm:ss")
            case 1:
                return transfer_word(transfer, self._over(transfer))
            case 2:
                text = money(transfer.amount, self._ledger)
                return f"+{text}" if transfer.amount > 0 else text
            case 3:
                return money(transfer.balance, self._ledger)
            case _:
                return transfer.comment or actor_text(transfer.actor)
