"""The head of a person's page: who it is, what they may do, what they have; and what can be done to it."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.core.person import overdraft_text
from app.core.queries import Person
from app.core.viewdata import count_text, money, person_subtitle, person_title, standing
from app.qt.actions import Actions, Name
from app.qt.theme import Theme
from app.views.cells import draw_initials
from app.views.parts import Card, Chip, Elided, column, font, label, row, slim_button_sheet


class Initials(QWidget):
    def __init__(self, theme: Theme, size: int) -> None:
        super().__init__()
        self._theme = theme
        self._name = ""
        self.setFixedSize(size, size)
        theme.on_change(self, self.update)

    def show_name(self, name: str) -> None:
        self._name = name
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        try:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            draw_initials(painter, self.rect().toRectF(), self._name, self._theme.colors)
        finally:
            painter.end()


LONG = 10


class Figure(QWidget):
    """A number with its name above it; a long one is written smaller."""

    def __init__(self, theme: Theme, name: str, px: int = 16) -> None:
        super().__init__()
        self._theme = theme
        self._name = name
        self._px = px
        self._value = label(theme, "–", px=px, bold=True)
        self.setLayout(column(label(theme, name, "muted", 11.5), self._value, spacing=2))

    def show_value(self, text: str, role: str = "text") -> None:
        self._value.setText(text)
        self._value.setFont(font(self._value.font(), max(14, self._px * min(1.0, LONG / max(1, len(text)))), bold=True))
        self._theme.tint(self._value, role)
        self.setAccessibleName(f"{self._name}: {text}")


def action_button(theme: Theme, actions: Actions, name: Name, text: str) -> QPushButton:
    """A slim button for a command, with the command's tip: while it is off, that says why."""
    button, action = QPushButton(text), actions[name]
    button.setAutoDefault(False)
    button.setFont(font(button.font(), 12.5))
    button.setFixedHeight(28)
    theme.on_change(button, lambda: button.setStyleSheet(slim_button_sheet(theme.colors)))

    def follow() -> None:
        button.setEnabled(action.isEnabled())
        button.setToolTip(action.toolTip())

    action.changed.connect(follow)
    button.clicked.connect(action.trigger)
    follow()
    return button


class PersonHead(Card):
    """Name, standing and money."""

    def __init__(self, theme: Theme, actions: Actions) -> None:
        super().__init__(theme)
        self._theme = theme
        self._initials = Initials(theme, 48)
        self._name = Elided(theme, px=20, bold=True)
        self._subtitle = Elided(theme, role="muted", px=12.5)
        self._chips: list[Chip] = []
        self._chip_row = QHBoxLayout()
        self._chip_row.setSpacing(6)
        self.balance = Figure(theme, "Balance", 26)
        self.figures = {name: Figure(theme, name) for name in ("Available", "Reserved", "Overdraft", "Printed")}
        self.limits = Elided(theme, role="muted", px=12)
        self.adjust_button = action_button(theme, actions, "adjust", "Adjust…")
        self.copy_button = action_button(theme, actions, "copy_person", "Copy as text")
        top = row(self._initials, spacing=14)
        top.addLayout(column(self._name, self._subtitle, spacing=2), 1)
        top.addLayout(self._chip_row)
        numbers = row(spacing=26)
        for figure in (self.balance, *self.figures.values()):
            numbers.addWidget(figure, 0, Qt.AlignmentFlag.AlignTop)
        numbers.addStretch(1)
        deeds = row(self.adjust_button, self.copy_button, spacing=8)
        deeds.addSpacing(8)
        deeds.addWidget(self.limits, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(20, 14, 20, 12)
        box.setSpacing(10)
        box.addLayout(top)
        box.addLayout(numbers)
        box.addLayout(deeds)

    def show_person(self, person: Person, old: bool) -> None:
        user, ledger = person.user, person.ledger
        self._initials.show_name(person_title(user))
        self._name.show_text(person_title(user))
        self._subtitle.show_text(person_subtitle(user))
        self._show_chips(person)
        quiet = "muted" if old else "text"
        self.balance.show_value(money(user.balance, ledger), "error" if user.balance < 0 and not old else quiet)
        pages = count_text(user.print_impressions, "page", "pages")
        values = (
            money(user.available, ledger),
            money(user.reserved, ledger),
            overdraft_text(user, ledger),
            f"{pages}, {count_text(user.print_jobs, 'job', 'jobs')}",
        )
        for figure, value in zip(self.figures.values(), values, strict=True):
            figure.show_value(value, quiet)

    def _show_chips(self, person: Person) -> None:
        chips = standing(person.user)
        while len(self._chips) < len(chips):
            self._chips.append(Chip(self._theme, "panel"))
            self._chip_row.addWidget(self._chips[-1])
        for index, chip in enumerate(self._chips):
            chip.setVisible(index < len(chips))
            if index < len(chips):
                chip.show_words(chips[index][1], chips[index][0])
