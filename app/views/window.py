"""The console's window: side rail, title with the connection, the verdict, and one page at a time."""

import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QLineEdit,
    QMainWindow,
    QMessageBox,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.core.pages import PAGES, Page, shown_to
from app.core.profiles import ConsoleSection, ConsoleSettings, Profile, ProfileError, forget_token, save, save_theme
from app.core.profiles import Theme as ThemeChoice
from app.core.reducer import Changes
from app.core.viewdata import Verdict, cluster_text, indicator, verdict
from app.qt import icons
from app.qt.actions import Actions, Name
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.account import Account
from app.views.audit import AuditPage
from app.views.connect import ConnectPane
from app.views.history import HistoryPage
from app.views.keys import KeysDialog
from app.views.listing import ListPage
from app.views.live import LivePage
from app.views.operations import Operations
from app.views.operators import OperatorsPage
from app.views.parts import Card, Chip, Elided, Mark, column, font, label, row, slim_button_sheet, tool_button
from app.views.people import PeoplePage
from app.views.printlog import PrintLogPage
from app.views.queues import QueuesPage
from app.views.settings import SettingsPage
from app.views.tokens import TokensPage
from app.views.userlist import UsersPage
from backend.base.cli import program_version
from backend.base.settings import SettingsError

log = logging.getLogger(__name__)


class Rail(QWidget):
    """The pages, at the left edge: those of every day, and below a line those for whoever keeps the house. What a role
    may not see is not there."""

    WIDTH = 84
    HIGH = 49

    def __init__(self, theme: Theme, actions: Actions) -> None:
        super().__init__()
        self._theme = theme
        self.setFixedWidth(self.WIDTH)
        self.setAccessibleName("Pages")
        self.buttons: dict[Page, QToolButton] = {}
        box = column(spacing=2, margins=(7, 12, 7, 8))
        box.addWidget(_Logo(), 0, Qt.AlignmentFlag.AlignHCenter)
        box.addSpacing(8)
        self._line = QFrame()
        self._line.setFixedHeight(1)
        for page, spec in PAGES.items():
            if spec.group == "house" and box.indexOf(self._line) < 0:
                box.addSpacing(4)
                box.addWidget(self._line)
                box.addSpacing(4)
            self.buttons[page] = self._button(actions, page, spec.short)
            box.addWidget(self.buttons[page])
        box.addStretch(1)
        box.addWidget(self._button(actions, "theme_toggle", "Colours"))
        self.setLayout(box)
        theme.on_change(self, self._restyle)

    def show_pages(self, pages: Collection[Page]) -> None:
        for page, button in self.buttons.items():
            button.setVisible(page in pages)
        self._line.setVisible(any(PAGES[page].group == "house" for page in pages))

    def _button(self, actions: Actions, name: Name, text: str) -> QToolButton:
        action = actions[name]
        button = QToolButton()
        button.setDefaultAction(action)
        button.setText(text)
        button.setAccessibleName(action.text().replace("&", ""))
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        button.setFixedHeight(self.HIGH)
        button.setFont(font(button.font(), 11))
        action.changed.connect(lambda: button.setText(text))
        return button

    def _restyle(self) -> None:
        colors = self._theme.colors
        self.setStyleSheet(f"""
            QToolButton {{ border: 1px solid transparent; border-radius: 9px; color: {colors.muted};
                padding-top: 4px; }}
            QToolButton:hover {{ background: {colors.panel}; }}
            QToolButton:checked {{ background: {colors.selected}; color: {colors.text}; }}
            QToolButton:focus {{ border-color: {colors.accent}; }}
            QFrame {{ background: {colors.line_strong}; border: none; }}
        """)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            painter.fillRect(self.rect(), QColor(self._theme.colors.rail))
        finally:
            painter.end()


class _Logo(QWidget):
    SIZE = 38

    def __init__(self) -> None:
        super().__init__()
        self.setFixedSize(self.SIZE, self.SIZE)
        self.setToolTip(f"Inkeeper {program_version()}")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            painter.drawPixmap(0, 0, icons.pixmap("inkeeper", "#000000", self.SIZE, self.devicePixelRatioF()))
        finally:
            painter.end()


class Banner(Card):
    """The verdict: one sentence on the whole cluster, who says so, and how old it is."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme)
        self._theme = theme
        self._mark = Mark(theme, 22)
        self._text = Elided(theme, px=14, bold=True)
        self._detail = Elided(theme, role="muted", px=12)
        self._source = label(theme, role="muted", px=12)
        self.setFixedHeight(46)
        words = column(1, self._text, self._detail, 1, spacing=1)
        box = row(self._mark, spacing=12, margins=(16, 0, 18, 0))
        box.addLayout(words, 1)
        box.addWidget(self._source)
        self.setLayout(box)

    def show_verdict(self, verdict: Verdict) -> None:
        self._mark.show_tone(verdict.health, verdict.health)
        self._text.show_text(verdict.text)
        self._detail.show_text(verdict.detail)
        self._detail.setVisible(bool(verdict.detail))
        self._source.setText(verdict.source)
        alarming = verdict.health in ("error", "warning")
        self.set_look("card", verdict.health if alarming else "line")
        self.setAccessibleName(f"{verdict.text} {verdict.detail} {verdict.source}".strip())


class PausedBanner(Card):
    """Stands below the verdict while the cluster is paused: nobody should forget that."""

    def __init__(self, theme: Theme, actions: Actions) -> None:
        super().__init__(theme, line="draining")
        mark = Mark(theme, 20)
        mark.show_tone("draining", "Paused")
        text = Elided(theme, px=13, bold=True)
        text.show_text("The cluster is paused: members that are gone are kept, DNS is not changed. Printing goes on.")
        self.button = QPushButton("Resume…")
        self.button.setAutoDefault(False)
        self.button.setFixedHeight(28)
        self.button.clicked.connect(actions["resume"].trigger)
        theme.on_change(self.button, lambda: self.button.setStyleSheet(slim_button_sheet(theme.colors)))
        actions["resume"].changed.connect(lambda: self._follow(actions))
        self.setFixedHeight(42)
        self.setAccessibleName("The cluster is paused")
        box = row(mark, spacing=12, margins=(17, 0, 8, 0))
        box.addWidget(text, 1)
        box.addWidget(self.button)
        self.setLayout(box)
        self._follow(actions)
        self.hide()

    def _follow(self, actions: Actions) -> None:
        self.button.setEnabled(actions["resume"].isEnabled())
        self.button.setToolTip(actions["resume"].toolTip())


class MainWindow(QMainWindow):
    """Wires actions, pages and session. `settings` are those of this run, `config` is the file that keeps them."""

    def __init__(self, theme: Theme, session: Session, settings: ConsoleSettings, config: Path) -> None:
        super().__init__()
        self._theme = theme
        self._session = session
        self._settings = settings
        self.config = config
        self._remembered = bool(settings.console.login)
        self.actions_ = Actions(theme, self)
        self.live = LivePage(theme, self.actions_, session)
        self.people = PeoplePage(theme, self.actions_, session)
        self.print_log = PrintLogPage(theme, self.actions_, session)
        self.history = HistoryPage(theme, self.actions_, session)
        self.queues = QueuesPage(theme, self.actions_, session)
        self.users = UsersPage(theme, self.actions_, session)
        self.operators = OperatorsPage(theme, self.actions_, session)
        self.tokens = TokensPage(theme, self.actions_, session)
        self.audit = AuditPage(theme, self.actions_, session)
        self.settings = SettingsPage(theme, self.actions_, session)
        self.operations = Operations(theme, self.actions_, session, self)
        self.paused = PausedBanner(theme, self.actions_)
        self.connect_pane = ConnectPane(theme, session)
        self.account = Account(
            theme,
            self.actions_,
            session,
            self,
            forget=self._forget_token,
            keep=self._keep_token,
            left=lambda note: self.ask_connection(note),
        )
        self.banner = Banner(theme)
        self.chip = Chip(theme)
        self._title = label(theme, px=19, bold=True)
        self._cluster = Elided(theme, role="muted", px=13)
        self._pages = QStackedWidget()
        self._by_name: dict[Page, QWidget] = {
            "live": self.live,
            "people": self.people,
            "print_log": self.print_log,
            "history": self.history,
            "queues": self.queues,
            "users": self.users,
            "operators": self.operators,
            "tokens": self.tokens,
            "audit": self.audit,
            "settings": self.settings,
        }
        for page in (*self._by_name.values(), self.connect_pane):
            self._pages.addWidget(page)
        self._build()
        self._connect()
        self.show_page(self.live)
        self._show_rail()
        self._refresh_head()

    def _build(self) -> None:
        self.setWindowTitle("Inkeeper")
        self.setMinimumSize(1040, 680)
        self.resize(1280, 800)
        self.actions_.fill(self.menuBar())
        self.menuBar().setAccessibleName("Menu")
        self._find = QPushButton("Find a person    Ctrl+F")
        self._find.setAccessibleName("Find a person")
        self._find.setFont(font(self._find.font(), 12.5))
        self._find.setFixedHeight(30)
        self._find.clicked.connect(self.actions_["find"].trigger)
        head = row(self._title, self._cluster, self._tools(), self._find, self.account.button, self.chip)
        head.setSpacing(12)
        head.setContentsMargins(2, 0, 0, 0)
        head.setStretch(1, 1)
        main = QVBoxLayout()
        main.setContentsMargins(18, 12, 18, 14)
        main.setSpacing(12)
        top = QWidget()
        top.setFixedHeight(34)
        top.setLayout(head)
        main.addWidget(top)
        main.addWidget(self.banner)
        main.addWidget(self.paused)
        main.addWidget(self._pages, 1)
        self.rail = Rail(self._theme, self.actions_)
        body = row(self.rail, spacing=0)
        body.addLayout(main, 1)
        central = QWidget()
        central.setLayout(body)
        self.setCentralWidget(central)
        self._theme.on_change(self, self._restyle)

    def _tools(self) -> QWidget:
        """The live page's own commands, beside the title."""
        box = row(spacing=3)
        names: tuple[Name | None, ...] = ("graph", "tree", None, "zoom_out", "zoom_in", "fit", None)
        for name in names:
            if name is None:
                box.addSpacing(10)
            else:
                box.addWidget(tool_button(self._theme, self.actions_[name]))
        self._live_tools = QWidget()
        self._live_tools.setLayout(box)
        return self._live_tools

    def _restyle(self) -> None:
        colors = self._theme.colors
        self._find.setIcon(icons.icon("search", colors))
        self._find.setStyleSheet(
            f"QPushButton {{ background: {colors.card}; color: {colors.muted}; border: 1px solid {colors.line};"
            f" border-radius: 15px; padding: 0 16px 0 10px; }} QPushButton:hover {{ background: {colors.hover}; }}"
            f" QPushButton:focus {{ border-color: {colors.accent}; }}"
        )
        self.actions_["theme_toggle"].setIcon(icons.icon("sun" if colors.dark else "moon", colors))
        self.actions_[_THEME_ACTIONS[self._theme.choice]].setChecked(True)

    def _connect(self) -> None:
        act = self.actions_
        act["quit"].triggered.connect(self.close)
        act["reload"].triggered.connect(self._session.reload)
        for name in PAGES:
            act[name].triggered.connect(lambda _=False, name=name: self.go(name))
        act["find"].triggered.connect(lambda: self.go("people"))
        self.users.opening.connect(self.open_person)
        self.live.offers = self.operations.offers
        self.live.topology.acting.connect(self.operations.open)
        self.live.topology.menu_wanted.connect(self.operations.popup)
        act["connection"].triggered.connect(lambda: self.ask_connection())
        act["theme_system"].triggered.connect(lambda: self._choose_theme("system"))
        act["theme_light"].triggered.connect(lambda: self._choose_theme("light"))
        act["theme_dark"].triggered.connect(lambda: self._choose_theme("dark"))
        act["theme_toggle"].triggered.connect(self._toggle_theme)
        act["keys"].triggered.connect(self._show_keys)
        act["about"].triggered.connect(self._show_about)
        self.connect_pane.asked.connect(self._enter)
        self.connect_pane.dismissed.connect(lambda: self.show_page(self.live))
        self._session.store.changed.connect(self._changed)
        self._session.store.ticked.connect(self._refresh_head)

    # ---------------------------------------------------------------- pages

    def show_page(self, page: QWidget) -> None:
        self._pages.setFocus()  # else Qt hands the focus of what is hidden to the first button of the rail
        self._pages.setCurrentWidget(page)
        shown: Page | None = next((name for name, its in self._by_name.items() if its is page), None)
        self._title.setText(PAGES[shown].title if shown is not None else "Connection")
        self.banner.setVisible(page is not self.connect_pane)
        self._show_paused()
        self._find.setVisible(page is self.live)
        self._live_tools.setVisible(page is self.live)
        for name in PAGES:
            self.actions_[name].setChecked(name == shown)

    def go(self, name: Page) -> None:
        """Show a page because somebody asked for it, ready for the keyboard."""
        page = self._by_name.get(name)
        if page is None or name not in self._allowed():
            return
        self.show_page(page)
        if isinstance(page, PeoplePage | HistoryPage | ListPage):
            page.start()

    def open_person(self, name: str) -> None:
        """Show somebody's page."""
        self.show_page(self.people)
        self.people.person.open_person(name)

    def _allowed(self) -> tuple[Page, ...]:
        rights = self._session.store.state.rights
        pages = shown_to(rights.caller.role if rights is not None and rights.caller is not None else None)
        return tuple(page for page in pages if page in self._by_name)

    def _show_rail(self) -> None:
        """The pages that this token's role may see; who loses the page that is shown goes to the first."""
        allowed = self._allowed()
        self.rail.show_pages(allowed)
        for name in PAGES:
            self.actions_[name].setVisible(name in allowed)
            self.actions_[name].setEnabled(name in allowed)
        current = self._pages.currentWidget()
        if any(its is current and name not in allowed for name, its in self._by_name.items()):
            self.show_page(self.live)

    def _show_paused(self) -> None:
        topology = self._session.store.state.topology
        on = topology is not None and topology.paused
        self.paused.setVisible(on and self._pages.currentWidget() is not self.connect_pane)

    def ask_connection(self, problem: str = "", profile: Profile | None = None) -> None:
        """Show the form; `problem` says why, where something was wrong; `profile` is what is known of it where no
        cluster is entered yet."""
        self.connect_pane.start(self._session.profile or profile or self._known(), problem)
        self.show_page(self.connect_pane)

    def _known(self) -> Profile | None:
        """Who logged in last, where."""
        section = self._settings.console
        return Profile(section.servers, "", section.login) if section.servers else None

    def _forget_token(self, token: str) -> None:
        try:
            forget_token(self._settings.console, token)
        except ProfileError as error:
            log.warning("%s", error)

    def _keep_token(self, token: str) -> None:
        """Where a token is stored, the new one takes its place."""
        profile = self._session.profile
        if profile is not None and self._remembered:
            self._store(profile, token)

    def _enter(self, profile: Profile, remember: bool) -> None:
        self._remembered = remember
        if remember or profile.login:
            problem = self._store(profile, profile.token if remember else None)
            if problem:
                self.ask_connection(problem)
                return
        self._session.open(profile)
        self.show_page(self.live)

    def _store(self, profile: Profile, token: str | None) -> str:
        """Keep servers and name, and the token where there is one to be kept; why not, else ""."""
        token_file = self._settings.console.token_file or str(self.config.parent / "console.token")
        section = ConsoleSection(profile.servers, token_file, self._theme.choice, profile.login)
        settings = ConsoleSettings(section, self._settings.log)
        try:
            save(settings, token, self.config)
        except ProfileError as error:
            return f"{error}."
        self._settings = settings
        return ""

    # ---------------------------------------------------------------- what the store says

    def _changed(self, changes: Changes) -> None:
        if changes.connection or changes.topology:
            self._refresh_head()
        if changes.rights:
            self._show_rail()

    def _refresh_head(self) -> None:
        state, now = self._session.store.state, time.monotonic()
        shown = indicator(state, now)
        self.chip.show_words(shown.tone, shown.word, shown.endpoint)
        self.chip.setToolTip("\n".join(state.connection.servers))
        self.banner.show_verdict(verdict(state, now))
        self._show_paused()
        cluster = cluster_text(state.topology.cluster) if state.topology is not None else ""
        self._cluster.show_text(cluster)
        self.setWindowTitle(f"{cluster} – Inkeeper" if cluster else "Inkeeper")

    # ---------------------------------------------------------------- small commands

    def _toggle_theme(self) -> None:
        self._choose_theme("light" if self._theme.colors.dark else "dark")

    def _choose_theme(self, choice: ThemeChoice) -> None:
        self._theme.choose(choice)
        try:
            save_theme(choice, self.config)
        except (ProfileError, SettingsError) as error:
            log.warning("the choice of colours holds for this run only: %s", error)

    def _show_keys(self) -> None:
        KeysDialog(self._theme, self.actions_, self).open()

    def _show_about(self) -> None:
        text = (
            f"Inkeeper {program_version()}\nPrint accounting that keeps counting while servers die.\n\nGPL-3.0-or-later"
        )
        QMessageBox.about(self, "About Inkeeper", text)

    def showEvent(self, event: QShowEvent) -> None:
        """Nothing has the focus at first; else Qt gives it to the first button of the rail."""
        super().showEvent(event)
        body = self.centralWidget()
        if body is not None and not isinstance(self.focusWidget(), QLineEdit):
            body.setFocus()


_THEME_ACTIONS: Final[dict[ThemeChoice, Name]] = {
    "system": "theme_system",
    "light": "theme_light",
    "dark": "theme_dark",
}
