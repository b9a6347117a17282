"""What holds for the whole cluster, each setting with its meaning in words. For administrators."""

from typing import Final

from PySide6.QtWidgets import QWidget

from app.core.access import SETTING_COLUMNS, as_typed, meaning, setting_line, to_store, value_words
from app.core.administration import read_settings, set_setting
from app.core.costs import AmountError
from app.core.viewdata import count_text
from app.models.grid import GridModel
from app.qt.actions import Actions
from app.qt.session import Ask, Session
from app.qt.theme import Theme
from app.views.forms import Form
from app.views.listing import ReadPage, chosen_ids
from backend.wire.access import SettingList, SettingView
from backend.wire.base import Ledger

WIDTHS: Final = {0: 196, 1: 150, 3: 110, 4: 226}
UNITS: Final = {"amount": "an amount", "duration": "in seconds", "text": "text", "switch": "", "fixed": ""}


class SettingsPage(ReadPage[SettingList]):
    def __init__(self, theme: Theme, actions: Actions, session: Session) -> None:
        self.model = GridModel(None, SETTING_COLUMNS)
        super().__init__(theme, session, "Settings", self.model)
        self.model.setParent(self)
        self.table.lay_out(WIDTHS, 2, left=380)
        self.edit_button = self.button("Change…", "Change the chosen setting", self.edit)
        self.add_tools(self.edit_button)
        self.table.activated.connect(lambda _: self.edit())
        self.refresh()

    def question(self) -> Ask[SettingList]:
        return read_settings

    def _ledger(self) -> Ledger:
        ledger = self.session.store.state.ledger
        return ledger if ledger is not None else Ledger(currency="", decimals=0)

    def show_value(self) -> str:
        assert self.value is not None  # shown once there is one
        self.model.show_lines([setting_line(view, self._ledger()) for view in self.value.settings])
        changed = sum(view.value != view.default and not view.secret and not view.fixed for view in self.value.settings)
        told = f"{changed:,} other than the default" if changed else "all as they are by default"
        return f"{count_text(len(self.value.settings), 'setting', 'settings')}, {told}"

    def nothing(self) -> tuple[str, str, str]:
        return "settings", "No settings", "This server tells none."

    def chosen(self) -> SettingView | None:
        ids = chosen_ids(self, self.model.line_id)
        found = self.value.settings if self.value is not None else ()
        return next((view for view in found if ids and view.key == ids[0]), None)

    def offer(self) -> None:
        view = self.chosen()
        self.edit_button.setEnabled(view is not None and not view.fixed)

    def edit(self) -> None:
        view = self.chosen()
        if view is not None and not view.fixed:
            self.open_dialog(SettingDialog(self._theme, self.session, view, self._ledger(), self.window()))


class SettingDialog(Form):
    def __init__(
        self, theme: Theme, session: Session, view: SettingView, ledger: Ledger, parent: QWidget | None
    ) -> None:
        told = meaning(view.key)
        super().__init__(theme, session, told.title, "Save", parent)
        self._view = view
        self._ledger = ledger
        zero = f" 0: {told.zero}." if told.zero else ""
        self.say(f"{told.about}{zero}", "text", 13)
        self.say(f"{view.key}, for every server of the cluster")
        if told.form == "switch":
            self.switch = self.choice("&Value", {"true": "yes", "false": "no"}, view.value)
        else:
            hint = "Something new, or empty; what is set is not shown" if view.secret else UNITS[told.form]
            unit = {"amount": ledger.currency or "units", "duration": "seconds"}.get(told.form, "")
            caption = f"&Value ({unit})" if unit else "&Value"
            self.value = self.field(caption, as_typed(view, ledger), hint, secret=view.secret)
            self.value.setFocus()
        if not view.secret:
            self.say(f"Default: {value_words(view, view.default, ledger)}")

    def act(self) -> None:
        key = self._view.key
        if meaning(key).form == "switch":
            value = str(self.switch.currentData())
        else:
            try:
                value = to_store(key, self.value.text(), self._ledger)
            except AmountError as error:
                self.tell("error", f"Not saved: {error}.")
                return
        self.send(lambda client: set_setting(client, key, value), self._saved, "It may be saved once more.")

    def _saved(self, _: SettingList) -> None:
        self.tell("ok", "Changed, for every server within seconds.")
        self.act_button.setEnabled(False)
        self.close_button.setDefault(True)
