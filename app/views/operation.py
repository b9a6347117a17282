"""The dialog of an action on the cluster: what it would do step by step, what speaks against it, and one button that
is named by what it does. Then what is seen of it, until it is done.

What takes something away is never the default: Enter closes the dialog, the button has to be chosen.
"""

from collections.abc import Sequence

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QLabel, QPushButton, QVBoxLayout, QWidget

from app.core.operations import WORDS, Verb, choices
from app.core.reducer import Changes
from app.core.talk import Screen
from app.core.viewdata import Tone
from app.qt.operation import Operation
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.parts import Card, Mark, dress, dress_check, dress_choice, label, row

WIDTH = 560
MIN_HEIGHT = 260


class Lines(QWidget):
    """Texts below each other, each with a mark or a number before it. Kept and filled anew.

    A text that says itself what its mark means ("Against it: …") gets no word for it in its accessible name."""

    def __init__(self, theme: Theme, name: str, px: float = 13) -> None:
        super().__init__()
        self._theme = theme
        self._px = px
        self._rows: list[tuple[QWidget, Mark, QLabel, QLabel]] = []
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(7)
        self.setAccessibleName(name)

    def show_steps(self, texts: Sequence[str]) -> None:
        self._show([(None, f"{number}.", text) for number, text in enumerate(texts, 1)])

    def show_marked(self, lines: Sequence[tuple[Tone, str]]) -> None:
        self._show([(tone, "", text) for tone, text in lines])

    def texts(self) -> list[str]:
        return [text.text() for holder, _, _, text in self._rows if not holder.isHidden()]

    def _show(self, lines: Sequence[tuple[Tone | None, str, str]]) -> None:
        while len(self._rows) < len(lines):
            self._add()
        for place, (holder, mark, number, text) in enumerate(self._rows):
            holder.setVisible(place < len(lines))
            if place >= len(lines):
                continue
            tone, before, words = lines[place]
            mark.setVisible(tone is not None)
            number.setVisible(tone is None)
            number.setText(before)
            if tone is not None:
                mark.show_tone(tone, TONE_WORDS.get(tone, tone))
            text.setText(words)
            text.setAccessibleName(f"{TONE_WORDS.get(tone, '') if tone else before} {words}".strip())
        self.setVisible(bool(lines))

    def _add(self) -> None:
        holder = QWidget()
        mark = Mark(self._theme, 16)
        number = label(self._theme, role="muted", px=self._px)
        number.setFixedWidth(16)
        text = label(self._theme, px=self._px)
        text.setWordWrap(True)
        text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box = row(spacing=10)
        box.addWidget(mark, 0, Qt.AlignmentFlag.AlignTop)
        box.addWidget(number, 0, Qt.AlignmentFlag.AlignTop)
        box.addWidget(text, 1)
        holder.setLayout(box)
        self._box.addWidget(holder)
        self._rows.append((holder, mark, number, text))


TONE_WORDS: dict[Tone, str] = {
    "ok": "Done:",
    "waiting": "Waiting:",
    "draining": "Under way:",
    "active": "Under way:",
    "unknown": "Not known:",
}


class OperationDialog(QDialog):
    """Open it with `open()`; it asks for the dry run at once."""

    def __init__(self, theme: Theme, session: Session, verb: Verb, subject: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._session = session
        self._verb = verb
        self.operation = Operation(session, verb, subject, self)
        self.choice = QComboBox()
        self.steps = Lines(theme, "What it would do")
        self.lines = Lines(theme, "What is to be known")
        self.force = QCheckBox()
        self.act_button = QPushButton()
        self.again_button = QPushButton()
        self.close_button = QPushButton()
        self._headline_mark = Mark(theme, 20)
        self.headline = label(theme, px=13.5, bold=True)
        self._steps_title = label(theme, "What it would do", "muted", 12, bold=True)
        self._hint = label(theme, role="muted", px=12)
        self._build()
        self._connect()

    def _build(self) -> None:
        words = WORDS[self._verb]
        self.setWindowTitle(f"{words.title} – Inkeeper")
        self.setAccessibleName(words.title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setFixedWidth(WIDTH)
        about = label(self._theme, words.about, "muted", 12.5)
        for text in (about, self.headline, self._hint):
            text.setWordWrap(True)
        box = QVBoxLayout(self)
        box.setContentsMargins(24, 20, 24, 18)
        box.setSpacing(10)
        box.setSizeConstraint(QVBoxLayout.SizeConstraint.SetNoConstraint)
        box.addWidget(label(self._theme, words.title, px=18, bold=True))
        box.addWidget(about)
        self._choice_row = self._choice_box(words.asks)
        box.addWidget(self._choice_row)
        box.addWidget(self._plan_card())
        box.addWidget(self.force)
        box.addWidget(self._hint)
        box.addStretch(1)
        box.addSpacing(4)
        box.addLayout(row(1, self.again_button, self.close_button, self.act_button))
        self.force.setAccessibleDescription("Do it in spite of what speaks against it")
        for button in (self.again_button, self.close_button, self.act_button):
            button.setAutoDefault(False)
            dress(self._theme, button)
        dress_choice(self._theme, self.choice)
        dress_check(self._theme, self.force)

    def _choice_box(self, asks: str) -> QWidget:
        holder = QWidget()
        caption = label(self._theme, f"&{asks}", px=13, bold=True)
        caption.setTextFormat(Qt.TextFormat.AutoText)
        caption.setBuddy(self.choice)
        self.choice.setAccessibleName(asks)
        box = row(caption, self.choice, spacing=12)
        box.setStretch(1, 1)
        holder.setLayout(box)
        holder.setVisible(bool(asks))
        return holder

    def _plan_card(self) -> Card:
        card = Card(self._theme)
        head = row(spacing=10)
        head.addWidget(self._headline_mark, 0, Qt.AlignmentFlag.AlignTop)
        head.addWidget(self.headline, 1)
        inner = QVBoxLayout(card)
        inner.setContentsMargins(16, 14, 16, 14)
        inner.setSpacing(9)
        inner.addLayout(head)
        inner.addWidget(self.lines)
        inner.addWidget(self._steps_title)
        inner.addWidget(self.steps)
        return card

    def _connect(self) -> None:
        self.operation.changed.connect(self._refresh)
        self.act_button.clicked.connect(self.operation.act)
        self.again_button.clicked.connect(self.operation.again)
        self.close_button.clicked.connect(self.reject)
        self.force.toggled.connect(self.operation.force)
        self.choice.activated.connect(lambda place: self.operation.choose(str(self.choice.itemData(place))))
        self.finished.connect(lambda _: self.operation.close())
        self._session.store.changed.connect(self._store_changed)
        self._fill_choices()
        self._refresh()
        self.operation.start()
        self.close_button.setFocus()

    def _store_changed(self, changes: Changes) -> None:
        if changes.topology and self.operation.screen().choosing:
            self._fill_choices()

    def _fill_choices(self) -> None:
        """Whom it may be about now. What was chosen stays, also where it is not among them any more: the plan says."""
        topology = self._session.store.state.topology
        found = list(choices(self._verb, topology)) if topology is not None else []
        chosen = self.operation.talk.subject
        entries = [(choice.text, choice.subject) for choice in found]
        if chosen and all(subject != chosen for _, subject in entries):
            entries.append((chosen, chosen))
        shown = [(self.choice.itemText(place), self.choice.itemData(place)) for place in range(self.choice.count())]
        if entries != shown:
            self.choice.clear()
            for text, subject in entries:
                self.choice.addItem(text, subject)
        self.choice.setCurrentIndex(next((at for at, entry in enumerate(entries) if entry[1] == chosen), 0))

    # ---------------------------------------------------------------- showing

    def _refresh(self) -> None:
        screen, talk = self.operation.screen(), self.operation.talk
        self._headline_mark.show_tone(screen.tone, screen.tone)
        self.headline.setText(screen.headline)
        self._theme.tint(self.headline, screen.tone if screen.tone in ("error", "warning", "ok") else "text")
        self.lines.show_marked(screen.lines)
        steps = talk.plan.steps if talk.plan is not None and talk.phase not in ("unplanned", "refused") else ()
        self.steps.show_steps(steps)
        self._steps_title.setVisible(bool(steps))
        self._steps_title.setText("What it would do" if screen.choosing else "What was asked for")
        self._hint.setText(screen.hint)
        self._hint.setVisible(bool(screen.hint))
        self._choice_row.setVisible(screen.choosing and bool(WORDS[self._verb].asks))
        self._show_force(screen)
        self._show_buttons(screen)
        self.setAccessibleDescription(f"{screen.headline} {' '.join(self.lines.texts())}")
        self._fit()

    def _show_force(self, screen: Screen) -> None:
        self.force.setText(screen.force)
        self.force.setVisible(bool(screen.force))
        self.force.setChecked(self.operation.talk.forced)

    def _show_buttons(self, screen: Screen) -> None:
        self.act_button.setText(screen.act)
        self.act_button.setVisible(bool(screen.act))
        self.act_button.setEnabled(screen.can_act)
        self.act_button.setProperty("danger", screen.danger)
        self.act_button.setDefault(screen.calm)
        self.again_button.setText(screen.again)
        self.again_button.setVisible(bool(screen.again))
        self.close_button.setText(screen.close)
        self.close_button.setDefault(not screen.calm)
        for button in (self.act_button, self.close_button):
            button.style().unpolish(button)
            button.style().polish(button)

    def _fit(self) -> None:
        """As high as what it says: wrapped texts have a height only once their width is known."""
        layout = self.layout()
        if layout is not None:
            self.setFixedHeight(max(MIN_HEIGHT, layout.totalHeightForWidth(WIDTH)))

    def event(self, event: QEvent) -> bool:
        """Layouts inside of this one tell by this event that they need another height."""
        done = super().event(event)
        if event.type() is QEvent.Type.LayoutRequest:
            self._fit()
        return done

    def closeEvent(self, event: QCloseEvent) -> None:
        self.operation.close()
        super().closeEvent(event)
