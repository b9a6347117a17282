"""What queues do with their jobs, for administrators: one queue or many at once. What a page costs, whether jobs wait
for a release or printing is switched off, what holds while no server answers, and what a print comes to that broke off.

Where many differ it says "various", and only what was touched is changed. Before saving it shows what would change, on
how many. The dialog says "changed" only where a server said so; each value is absolute, so it may be saved once more.
"""

from collections.abc import Sequence
from typing import Final, cast, get_args

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QCheckBox, QComboBox, QPushButton, QWidget

from app.core.administration import change_queues, read_rules
from app.core.costs import common, preview, rule_words
from app.core.facts import OFFLINE_WORDS, PARTIAL_WORDS
from app.core.grid import Cell, Line
from app.core.history import moment_text, moment_tip
from app.core.queries import change_queue, explain
from app.core.viewdata import actor_text, count_text
from app.models.grid import GridModel
from app.qt.session import Session
from app.qt.theme import Theme
from app.views.cells import CellDelegate
from app.views.costs import CostEditor
from app.views.forms import Form
from app.views.parts import Card, Table, column, dress, dress_check, dress_choice, label
from backend.wire.base import Ledger, OfflinePolicy, PartialCharge
from backend.wire.pricing import CostRule, with_version
from backend.wire.printers import QueueList, QueueView, RuleList, SetQueue

WIDTH: Final = 680
VARIOUS: Final = "various"
DONE: Final = "Print servers learn it with their next heartbeats."
UNKNOWN: Final = "It may be saved once more."


class QueueDialog(Form):
    def __init__(
        self, theme: Theme, session: Session, queues: QueueView | Sequence[QueueView], parent: QWidget | None
    ) -> None:
        self.queues = (queues,) if isinstance(queues, QueueView) else tuple(queues)
        one = len(self.queues) == 1
        title = f"Queue {self.queues[0].name}" if one else count_text(len(self.queues), "queue", "queues")
        super().__init__(theme, session, title, "Save", parent)
        self.setFixedWidth(WIDTH)
        self.save_button = self.act_button
        ledger = session.store.state.ledger
        self._ledger = ledger if ledger is not None else Ledger(currency="", decimals=4)
        rules = {with_version(queue.cost, 1) for queue in self.queues}
        self.cost = CostEditor(theme, self._ledger, rules.pop() if len(rules) == 1 else None)
        self.hold = QCheckBox("&Hold each job until somebody releases it")
        self.disabled = QCheckBox("Printing is s&witched off: every job is refused")
        self.offline = QComboBox()
        self.partial = QComboBox()
        self.versions_button = QPushButton("Earlier prices…")
        self.shown = label(theme, px=12.5)
        self._build_body()
        self._fill()
        self._connect_body()
        self._show_preview()

    def _build_body(self) -> None:
        providers = sorted({queue.provider for queue in self.queues})
        names = ", ".join(queue.name for queue in self.queues[:6]) + (" …" if len(self.queues) > 6 else "")
        on = f"on {', '.join(providers[:4])}{' …' if len(providers) > 4 else ''}"
        self.say(on if len(self.queues) == 1 else f"{names}, {on}")
        untracked = [queue for queue in self.queues if not queue.tracked]
        if untracked:
            several = f"{len(untracked):,} of them {'is' if len(untracked) == 1 else 'are'} untracked"
            which = "This queue is untracked" if len(self.queues) == 1 else several
            self.say(f"{which}: jobs are not counted there, whatever is set here.", "warning")
        self.body.addWidget(self.cost)
        for box in (self.hold, self.disabled):
            dress_check(self.theme, box)
            self.body.addWidget(box)
        for choice, text in ((self.offline, "While no server &answers"), (self.partial, "A print that &broke off")):
            choice.setAccessibleName(text.replace("&", ""))
            dress_choice(self.theme, choice)
            self.line(text, choice)
        self.say("Broken off: of which neither its end nor the printer tells how much.", px=12)
        card = Card(self.theme, ground="panel", line="")
        self.shown.setWordWrap(True)
        card.setLayout(column(self.shown, margins=(12, 9, 12, 9)))
        self.body.addWidget(card)
        self.versions_button.setAutoDefault(False)
        dress(self.theme, self.versions_button)
        self.versions_button.setVisible(len(self.queues) == 1)
        self.buttons.insertWidget(0, self.versions_button)

    def _fill(self) -> None:
        self._fill_check(self.hold, common(self.queues, lambda queue: queue.hold_jobs))
        self._fill_check(self.disabled, common(self.queues, lambda queue: queue.disabled))
        policies = [(policy, OFFLINE_WORDS[policy]) for policy in get_args(OfflinePolicy)]
        self._fill_choice(self.offline, policies, common(self.queues, lambda queue: queue.offline_policy))
        charges = [(charge, PARTIAL_WORDS[charge]) for charge in get_args(PartialCharge)]
        self._fill_choice(self.partial, charges, common(self.queues, lambda queue: queue.partial_charge))

    def _fill_check(self, box: QCheckBox, value: object | None) -> None:
        if value is None:
            box.setTristate(True)
            box.setCheckState(Qt.CheckState.PartiallyChecked)
            box.setToolTip("Various: left as they are")
        else:
            box.setChecked(bool(value))

    def _fill_choice(self, choice: QComboBox, values: Sequence[tuple[str, str]], value: object | None) -> None:
        if value is None:
            choice.addItem("Various: leave as they are", VARIOUS)
        for key, text in values:
            choice.addItem(text, key)
        choice.setCurrentIndex(max(0, choice.findData(value)))

    def _connect_body(self) -> None:
        self.cost.changed.connect(self._show_preview)
        for box in (self.hold, self.disabled):
            box.checkStateChanged.connect(self._show_preview)
        for choice in (self.offline, self.partial):
            choice.currentIndexChanged.connect(self._show_preview)
        self.versions_button.clicked.connect(self._show_versions)

    # ---------------------------------------------------------------- what changes

    def change(self) -> SetQueue:
        """What was touched: a value that all of the queues have already is none."""
        return SetQueue(
            cost=self.cost.rule(),
            hold_jobs=self._checked(self.hold, common(self.queues, lambda queue: queue.hold_jobs)),
            disabled=self._checked(self.disabled, common(self.queues, lambda queue: queue.disabled)),
            offline_policy=cast(
                "OfflinePolicy | None",
                self._chosen(self.offline, common(self.queues, lambda queue: queue.offline_policy)),
            ),
            partial_charge=cast(
                "PartialCharge | None",
                self._chosen(self.partial, common(self.queues, lambda queue: queue.partial_charge)),
            ),
        )

    def _checked(self, box: QCheckBox, before: object | None) -> bool | None:
        if box.checkState() is Qt.CheckState.PartiallyChecked or box.isChecked() == before:
            return None
        return box.isChecked()

    def _chosen(self, choice: QComboBox, before: object | None) -> str | None:
        value = choice.currentData()
        return None if value in (VARIOUS, before) else str(value)

    def _show_preview(self) -> None:
        wrong = self.cost.checked().troubles
        found = preview(self.queues, self.change(), self._ledger)
        text = "\n".join((found.title(len(self.queues)), *(f"•  {line}" for line in found.lines)))
        self.shown.setText("The price is not complete yet." if wrong else text)
        self.act_button.setEnabled(bool(found.lines) and not wrong)
        self.refit.start()

    # ---------------------------------------------------------------- saving

    def act(self) -> None:
        self.save()

    def save(self) -> None:
        change, ids = self.change(), tuple(queue.queue_id for queue in self.queues)
        if len(ids) == 1:
            self.send(lambda client: change_queue(client, ids[0], change), self._saved_one, UNKNOWN)
        else:
            self.send(lambda client: change_queues(client, ids, change), self._saved, UNKNOWN)

    def _saved_one(self, queue: QueueView) -> None:
        self._take((queue,))

    def _saved(self, found: QueueList) -> None:
        mine = {queue.queue_id for queue in self.queues}
        self._take(tuple(queue for queue in found.queues if queue.queue_id in mine))

    def _take(self, queues: tuple[QueueView, ...]) -> None:
        """The queues as they are now."""
        many = len(queues) != 1
        self.tell("ok", f"Changed{f' on {len(queues):,} queues' if many else ''}. {DONE}")
        self.act_button.setEnabled(False)
        self.queues = queues or self.queues
        self.close_button.setDefault(True)
        self.session.reload()

    def _show_versions(self) -> None:
        RulesDialog(self.theme, self.session, self.queues[0], self).open()


class RulesDialog(Form):
    """Every cost rule that a queue had: which, since when, by whom."""

    def __init__(self, theme: Theme, session: Session, queue: QueueView, parent: QWidget | None) -> None:
        super().__init__(theme, session, f"Prices of {queue.name}", "", parent)
        self.act_button.hide()
        self.setFixedWidth(WIDTH)
        self.model = GridModel(self, ("Version", "What a page costs", "Since", "By"), frozenset({0}))
        self.table = Table(theme, "Earlier prices")
        self.table.setModel(self.model)
        self.table.setItemDelegate(CellDelegate(theme, self.table))
        self.table.lay_out({0: 70, 2: 150, 3: 120}, 1)
        self.table.setFixedHeight(320)
        card = Card(theme)
        card.setLayout(column(self.table, margins=(2, 4, 2, 6)))
        self.body.addWidget(card)
        self.tell("waiting", "Reading …")
        queue_id = queue.queue_id
        session.ask(lambda client: read_rules(client, queue_id), self._show, self._failed, self)

    def _failed(self, error: Exception) -> None:
        self.tell("error", explain(error).text)

    def _show(self, found: RuleList) -> None:
        self.tell("plain", "")
        self.model.show_lines([_rule_line(rule.cost, rule.at, rule.actor, found.ledger) for rule in found.rules])


def _rule_line(rule: CostRule, at: int, actor: str, ledger: Ledger) -> Line:
    who = actor_text(actor).removeprefix("by ")
    return Line(
        str(rule.version),
        (
            Cell(f"{rule.version:,}", by=rule.version),
            Cell(rule_words(rule, ledger), tip=rule_words(rule, ledger)),
            Cell(moment_text(at, at), muted=True, tip=moment_tip(at, at), by=at),
            Cell(who or "–", muted=True),
        ),
    )
