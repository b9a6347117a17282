"""The people that a look-up found, in the server's order, and the transfers of one of them."""

from collections.abc import Callable
from typing import Any, Final

from PySide6.QtCore import QAbstractListModel, QDateTime, QLocale, QModelIndex, QObject, Qt

from app.core.person import Past, is_number, match_hint
from app.core.rows import difference
from app.core.viewdata import Tone, actor_text, money, person_title, standing, transfer_word
from app.models.roles import ID, MUTED, TONE, Index
from app.models.table import RIGHT, PagedModel
from backend.wire.base import Ledger
from backend.wire.money import TransferView
from backend.wire.people import UserList, UserView


class UsersModel(QAbstractListModel):
    """One row a person; the delegate paints from `user` and `balance_text`."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._users: tuple[UserView, ...] = ()
        self._ledger: Ledger | None = None
        self.text = ""
        """What was looked for, of which these are the answer."""

    def show_found(self, found: UserList | None, text: str = "") -> None:
        self.beginResetModel()
        self.text = text
        self._users = found.users if found is not None else ()
        self._ledger = found.ledger if found is not None else None
        self.endResetModel()

    def update_user(self, user: UserView) -> None:
        """One of them was read again."""
        rows = [row for row, known in enumerate(self._users) if known.name == user.name and known != user]
        for row in rows:
            self._users = (*self._users[:row], user, *self._users[row + 1 :])
            self.dataChanged.emit(self.index(row, 0), self.index(row, 0))

    def user(self, row: int) -> UserView | None:
        return self._users[row] if 0 <= row < len(self._users) else None

    def balance_text(self, user: UserView) -> str:
        return money(user.balance, self._ledger)

    def row_of_number(self, text: str) -> int:
        """The row of the one person whose whole login, alias or card number this is, -1 where there is none."""
        found = [row for row, user in enumerate(self._users) if is_number(user, text)]
        return found[0] if len(found) == 1 else -1

    def hint(self, user: UserView) -> str:
        """Why somebody was found, where it does not show."""
        return match_hint(user, self.text)

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
            hint = self.hint(user)
            return (
                f"{person_title(user)}, {user.name}, balance {self.balance_text(user)}, {words}{hint and f', {hint}'}"
            )
        return user.name if role == ID else None


WHEN, WHY, AMOUNT, BALANCE, WHO, NOTE = range(6)
HEADERS: Final = ("When", "What", "Amount", "Balance", "Who", "Why")
NUMBERS: Final = frozenset({AMOUNT, BALANCE})
MAX_ROWS: Final = 5000

_KIND_TONES: Final[dict[str, Tone]] = {"pending": "waiting", "voided": "off", "expired": "warning"}


class TransfersModel(PagedModel):
    """Money moved, newest first, with the balance after each. `fetch` is asked for the page before a sequence and
    answers by `add_page`; what is read again of the newest replaces those, older pages stay."""

    headers = HEADERS
    numbers = NUMBERS

    def __init__(self, parent: QObject | None = None, fetch: Callable[[str], None] | None = None) -> None:
        super().__init__(parent, fetch)
        self._transfers: dict[str, TransferView] = {}
        self._settled: set[str] = set()
        self._ledger: Ledger | None = None

    def show_transfers(
        self, transfers: tuple[TransferView, ...], ledger: Ledger | None, *, fresh: bool = False, whole: bool = False
    ) -> None:
        """Take the newest as they are now. `fresh` forgets older pages; `whole`: these are all."""
        window = {str(transfer.sequence): transfer for transfer in transfers}
        known = self._transfers
        newest = max((transfer.sequence for transfer in known.values()), default=0)
        # An account's transfers are numbered without gaps: where the window does not reach what is known, a page is
        # missing between them, and the list begins anew.
        gap = bool(window) and bool(known) and min(found.sequence for found in transfers) > newest + 1
        if fresh or gap or whole:
            known = {}
            self._fetching, self._exhausted = False, whole
        self._rebuild({**known, **window}, ledger)

    def add_page(self, before: str, transfers: tuple[TransferView, ...]) -> None:
        """The answer to `fetch`; an empty page is the end."""
        self._fetching = False
        if self._oldest() != before:
            return
        self._exhausted = not transfers or len(self._order) + len(transfers) >= MAX_ROWS
        self._rebuild({**self._transfers, **{str(found.sequence): found for found in transfers}}, self._ledger)

    def page_failed(self) -> None:
        """Asking again is left to the next scroll."""
        self._fetching = False

    def transfer(self, row: int) -> TransferView | None:
        return self._transfers[self._order[row]] if 0 <= row < len(self._order) else None

    def past(self) -> Past:
        """What is known, for questions about a moment."""
        return Past(tuple(self._transfers[key] for key in self._order), whole=self._exhausted)

    def _rebuild(self, transfers: dict[str, TransferView], ledger: Ledger | None) -> None:
        order = sorted(transfers, key=lambda key: transfers[key].sequence, reverse=True)[:MAX_ROWS]
        changed = [key for key in order if key in self._transfers and transfers[key] != self._transfers[key]]
        settled = {transfer.job_id for transfer in transfers.values() if transfer.kind != "pending"}
        operations = difference(self._order, order)
        if operations is None or ledger != self._ledger:
            self.beginResetModel()
            self._transfers, self._order = transfers, order
            self._ledger, self._settled = ledger, settled
            self.endResetModel()
            return
        self._transfers, self._settled = {**self._transfers, **transfers}, settled
        for operation in operations:
            self._carry_out(operation)
        self._transfers = {key: transfers[key] for key in self._order}
        if operations or changed:
            self.dataChanged.emit(self.index(0, 0), self.index(max(0, len(order) - 1), len(HEADERS) - 1))

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        transfer, column = self._transfers[self._order[index.row()]], index.column()
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return self._text(transfer, column)
        if role == Qt.ItemDataRole.TextAlignmentRole and column in NUMBERS:
            return RIGHT
        if role == TONE:
            return _KIND_TONES.get(transfer.kind) if column == WHY and not self._over(transfer) else None
        if role == MUTED:
            return column in (WHEN, WHO, NOTE) or transfer.kind != "posted"
        if role == ID:
            return str(transfer.sequence)
        if role == Qt.ItemDataRole.ToolTipRole:
            return f"{transfer.comment}\n{transfer.kind} {actor_text(transfer.actor)}".strip()
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
                word = transfer_word(transfer, self._over(transfer))
                return f"{word}, undone" if transfer.reversed else word
            case 2:
                text = money(transfer.amount, self._ledger)
                return f"+{text}" if transfer.amount > 0 else text
            case 3:
                return money(transfer.balance, self._ledger)
            case 4:
                return actor_text(transfer.actor).removeprefix("by ")
            case _:
                return transfer.comment
