"""All users, for administrators: sorted and filtered by the server, changed one by one, brought in from a file.

Only the pages that somebody looks at are ever read, out of hundreds of thousands of users.
"""

import time
from collections.abc import Callable
from typing import Final

from PySide6.QtCore import Qt, Signal

from app.core.administration import USER_ROWS, UserFilter, UserQuestion, read_users
from app.core.queries import Read, Trouble, explain
from app.core.reducer import Changes
from app.core.users import FILTERS, found
from app.core.viewdata import short_reason
from app.models.userlist import (
    AVAILABLE,
    BALANCE,
    CARDS,
    DEPARTMENT,
    FULL_NAME,
    JOBS,
    LIMIT,
    NAME,
    OVERDRAFT,
    SORTS,
    STATE,
    UserListModel,
)
from app.qt.actions import Actions, Name
from app.qt.bridge import Handle
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.listing import REREAD_S, ListPage
from app.views.useredit import ImportDialog, UserDialog
from app.views.userend import DeleteDialog, RenameDialog
from backend.wire.people import UserList, UserView

WIDTHS: Final = {
    NAME: 112, DEPARTMENT: 106, STATE: 122, BALANCE: 114, AVAILABLE: 114, LIMIT: 76, OVERDRAFT: 126, CARDS: 90,
    JOBS: 56,
}  # fmt: skip
CHOSEN: Final[tuple[Name, ...]] = ("edit_user", "rename_user", "delete_user")


class UsersPage(ListPage):
    """`opening` names the user whose page is wanted."""

    opening = Signal(str)

    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        self.model = UserListModel(None, self._need)
        super().__init__(theme, session, "Users", self.model)
        self.model.setParent(self)
        self._actions = actions
        self._question = UserQuestion()
        self._begun = False
        self._read_at: float | None = None
        self._trouble: Trouble | None = None
        self._handles: list[Handle] = []
        self.table.lay_out(WIDTHS, FULL_NAME, left=150)
        header = self.table.horizontalHeader()
        header.setSectionsClickable(True)
        header.setSortIndicatorShown(True)
        header.setSortIndicator(NAME, Qt.SortOrder.AscendingOrder)
        header.sectionClicked.connect(self._sort)
        self.table.activated.connect(lambda _: self.open_person())
        self.field = self.search_field("Find users", "Login, name, e-mail, card", 220, self._ask_anew)
        self.choice = self.choice_box("Which users", FILTERS, 166, self._ask_anew)
        self.new_button = self.button("New…", "Make a user", self.make)
        self.edit_button = self.button("Edit…", "Change details, cards and limits of the chosen user", self.edit)
        self.rename_button = self.button("Rename…", "Give the chosen user another login", self.rename)
        self.delete_button = self.button("Delete…", "Take the chosen user away", self.delete)
        self.import_button = self.button("Import…", "Make or change many users from a file", self.bring_in)
        self.add_tools(self.field, self.choice, self.new_button)
        self.add_tools(self.edit_button, self.rename_button, self.delete_button, self.import_button)
        deeds: dict[Name, Callable[[], None]] = {
            "new_user": self.make,
            "edit_user": self.edit,
            "rename_user": self.rename,
            "delete_user": self.delete,
            "import_users": self.bring_in,
        }
        for name, act in deeds.items():
            actions[name].triggered.connect(lambda _=False, act=act: act())
        self.refresh()

    # ---------------------------------------------------------------- reading

    def _need(self, offset: int, number: int) -> None:
        question = self._question

        def done(read: Read[UserList]) -> None:
            if number == self.model.question:
                self._read_at, self._trouble = read.at, None
                self.model.ledger, self.model.now_ms = read.value.ledger, read.value.as_of
                self.model.put(offset, number, read.value.users, read.value.total)
                self.refresh()

        def failed(error: Exception) -> None:
            self.model.failed(offset, number)
            if number == self.model.question:
                self._trouble = explain(error)
                self.refresh()

        asked = self.session.ask(lambda client: read_users(client, question, offset), done, failed, self)
        self._handles = [*self._handles[-8:], asked]

    def _ask_anew(self) -> None:
        which: UserFilter = self.choice.currentData()
        question = UserQuestion(self.field.text().strip(), which, self._question.sort, self._question.descending)
        if question != self._question or not self._begun:
            self._begin(question)

    def _begin(self, question: UserQuestion) -> None:
        for handle in self._handles:
            handle.cancel()
        self._handles, self._question, self._begun = [], question, True
        self._read_at = self._trouble = None
        self.model.begin()
        self.table.scrollToTop()
        self.refresh()

    def _sort(self, column: int) -> None:
        header, sort = self.table.horizontalHeader(), SORTS.get(column)
        if sort is None:
            now = next(place for place, its in SORTS.items() if its == self._question.sort)
            order = Qt.SortOrder.DescendingOrder if self._question.descending else Qt.SortOrder.AscendingOrder
            header.setSortIndicator(now, order)
            self.tell("plain", "Users are sorted by login, name or balance.")
            return
        descending = sort == self._question.sort and not self._question.descending
        header.setSortIndicator(column, Qt.SortOrder.DescendingOrder if descending else Qt.SortOrder.AscendingOrder)
        self._begin(UserQuestion(self._question.text, self._question.filter, sort, descending))

    def reread(self) -> None:
        """The pages that are looked at, again."""
        if not self._begun:
            self._begin(self._question)
            return
        top = self.table.rowAt(0)
        bottom = self.table.rowAt(self.table.viewport().height() - 1)
        last = bottom if bottom >= 0 else self.model.rowCount() - 1
        self.model.reread(range(max(0, top), max(0, last) + 1, USER_ROWS // 2) if top >= 0 else [])

    def tick(self) -> None:
        again = self._trouble is None or self._trouble.again
        if not self._begun or (again and time.monotonic() - (self._read_at or 0.0) >= REREAD_S):
            self.reread()
        self.refresh()

    def store_changed(self, changes: Changes) -> None:
        if changes.connection and self.session.store.state.connection.phase == "idle" and self._begun:
            self._begin(UserQuestion())
            self._begun = False

    # ---------------------------------------------------------------- showing

    def refresh(self) -> None:
        total, read_at, told = self.model.rowCount(), self._read_at, self._trouble
        text = found(total, read_at is not None)
        self.show_read(text, read_at, told)
        if total:
            self.show_table()
        elif told is not None:
            icon, act = ("lock", "") if told.denied else ("unplug", "Try now")
            self.show_state(icon, told.title, f"{short_reason(told.text).rstrip('.')}.", act, self.reread)
        elif read_at is None:
            self.show_state("users", "Reading …", "Waiting for the answer of a server.")
        elif self._question.text or self._question.filter:
            self.show_state("search", "Nobody fits", "No user fits the filters.", "Show all", self.clear)
        else:
            text = "Users come with their first print, from a file, or one by one."
            self.show_state("users", "No users yet", text, "Import…", self.bring_in)
        self.offer()

    def clear(self) -> None:
        self.choice.setCurrentIndex(0)
        self.field.clear()
        self._ask_anew()

    def offer(self) -> None:
        here, picked = self.isVisible(), self.chosen() is not None
        self._actions.offer("new_user", "" if here else "open the page Users first")
        self._actions.offer("import_users", "" if here else "open the page Users first")
        for name in CHOSEN:
            self._actions.offer(name, "" if here and picked else "choose a user first")
        for button in (self.edit_button, self.rename_button, self.delete_button):
            button.setEnabled(picked)

    def chosen(self) -> UserView | None:
        rows = self.table.chosen_rows()
        return self.model.row_at(rows[0]) if rows else None

    # ---------------------------------------------------------------- deeds

    def open_person(self) -> None:
        user = self.chosen()
        if user is not None:
            self.opening.emit(user.name)

    def make(self) -> None:
        self.open_dialog(UserDialog(self._theme, self.session, None, self.model.ledger, self.window()))

    def edit(self) -> None:
        user = self.chosen()
        if user is not None:
            self.open_dialog(UserDialog(self._theme, self.session, user, self.model.ledger, self.window()))

    def rename(self) -> None:
        user = self.chosen()
        if user is not None:
            self.open_dialog(RenameDialog(self._theme, self.session, user, self.window()))

    def delete(self) -> None:
        user = self.chosen()
        if user is not None:
            self.open_dialog(DeleteDialog(self._theme, self.session, user, self.model.ledger, self.window()))

    def bring_in(self) -> None:
        self.open_dialog(ImportDialog(self._theme, self.session, self.model.ledger, self.window()))
