"""Pictures of the pages for administrators: the print log, queues and their prices, users and their import, who may log
in, tokens, the audit log, settings; with their dialogs, an empty result and a refusal."""

from pathlib import Path
from typing import TypeVar

from PySide6.QtWidgets import QDialog

from app.core.profiles import Profile
from app.views.operators import OperatorDialog
from app.views.queue import QueueDialog
from app.views.settings import SettingDialog
from app.views.tokens import TokenDialog
from app.views.useredit import ImportDialog
from scripts.photographer import Photographer
from tests.support.console_system import System
from tests.support.folders import scratch_folder

T = TypeVar("T", bound=QDialog)
LIST = (
    "name,full_name,department,card_number\nada,Ada Moreau,Physics,70011\nnobody,,,\nada,Twice,Law,70012\n,No name,,\n"
)
PASSWORD = "a-password-to-look-at"


def photograph_administration(camera: Photographer, system: System) -> None:
    camera.connect(Profile((system.url,), system.admin))
    camera.wait("the rights", lambda: camera.session.store.state.rights is not None)
    _print_log(camera)
    _queues(camera)
    _users(camera)
    _access(camera)
    _settings(camera)
    _audit(camera)
    camera.window.show_page(camera.window.live)


def _print_log(camera: Photographer) -> None:
    window, page = camera.window, camera.window.print_log
    window.actions_["print_log"].trigger()
    camera.wait("the print log", lambda: page.model.rowCount() > 0)
    camera.take("print-log")
    page.state.setCurrentIndex(page.state.findData("denied"))
    page.period.setCurrentIndex(page.period.findData("between"))
    camera.wait("the filtered log", lambda: page.model.rowCount() > 0)
    camera.take("print-log-filtered")
    page.show_user("nobody")
    camera.wait("nothing to be found", lambda: page.state_pane.isVisible())
    camera.take("print-log-nothing")
    page.clear()


def _queues(camera: Photographer) -> None:
    window, page = camera.window, camera.window.queues
    window.actions_["queues"].trigger()
    camera.wait("the queues", lambda: page.model.rowCount() > 0)
    camera.take("queues")
    page.table.selectAll()
    page.edit()
    dialog = _opened(page.dialog, QueueDialog)
    dialog.cost.model.setCurrentIndex(dialog.cost.model.findData("simple"))
    dialog.cost.price.setText("0.12")
    dialog.cost.duplex.setText("30")
    camera.take("queues-many")
    dialog.reject()
    page.table.clearSelection()
    color = next(row for row in range(page.model.rowCount()) if page.model.text(row, 0) == "library-color")
    page.table.selectRow(color)
    page.edit()
    dialog = _opened(page.dialog, QueueDialog)
    camera.take("queue-prices")
    dialog.cost.price.setText("five")
    dialog.cost.model.setCurrentIndex(dialog.cost.model.findData("simple"))
    camera.take("queue-prices-wrong")
    dialog.reject()


def _users(camera: Photographer) -> None:
    window, page = camera.window, camera.window.users
    window.actions_["users"].trigger()
    camera.wait("the users", lambda: page.model.row_at(0) is not None)
    camera.take("users")
    page.table.selectRow(1)
    page.edit()
    camera.take("user")
    _opened(page.dialog, QDialog).reject()
    with scratch_folder("ik-pictures-") as folder:
        file = Path(folder) / "new-term.csv"
        file.write_text(LIST, encoding="utf-8")
        page.bring_in()
        dialog = _opened(page.dialog, ImportDialog)
        dialog.path.setText(str(file))
        dialog.act_button.click()
        camera.wait("the dry run", lambda: dialog.outcome is not None)
        dialog.path.blockSignals(True)
        dialog.path.setText("new-term.csv")
        camera.take("users-import")
        dialog.reject()


def _access(camera: Photographer) -> None:
    window, page = camera.window, camera.window.operators
    window.actions_["operators"].trigger()
    camera.wait("the operators", lambda: page.value is not None)
    for name, full_name, role in (("anna", "Anna Berg", "helpdesk"), ("ines", "Inês Prado", "auditor")):
        page.make()
        dialog = _opened(page.dialog, OperatorDialog)
        dialog.name.setText(name)
        dialog.full_name.setText(full_name)
        dialog.role.setCurrentIndex(dialog.role.findData(role))
        dialog.password.setText(PASSWORD)
        dialog.again.setText(PASSWORD)
        if role == "helpdesk":
            dialog.each.setText("20")
            camera.take("operator")
        dialog.act_button.click()
        camera.wait("the operator", lambda dialog=dialog: dialog.told.text() == "Created.")  # type: ignore[misc]
        dialog.reject()
    camera.wait("both operators", lambda: page.model.rowCount() == 2)
    camera.take("operators")
    page.table.selectRow(0)
    page.switch()
    camera.take("operator-disable")
    _opened(page.dialog, QDialog).reject()
    tokens = window.tokens
    window.actions_["tokens"].trigger()
    camera.wait("the tokens", lambda: tokens.model.rowCount() > 0)
    tokens.make()
    made = _opened(tokens.dialog, TokenDialog)
    made.name.setText("release-station")
    made.act_button.click()
    camera.wait("the token", lambda: bool(made.token.text()))
    made.token.setText("ik_shown-here-once-and-kept-nowhere")
    camera.take("token")
    made.reject()
    camera.take("tokens")


def _settings(camera: Photographer) -> None:
    window, page = camera.window, camera.window.settings
    window.actions_["settings"].trigger()
    camera.wait("the settings", lambda: page.model.rowCount() > 0)
    page.table.selectRow(page.model.row_of("helpdesk.limit-per-day"))
    camera.take("settings")
    page.edit()
    _opened(page.dialog, SettingDialog).value.setText("100")
    camera.take("setting")
    _opened(page.dialog, QDialog).reject()


def _audit(camera: Photographer) -> None:
    window, page = camera.window, camera.window.audit
    window.actions_["audit"].trigger()
    camera.wait("the audit log", lambda: page.model.rowCount() > 0)
    camera.take("audit")


def _opened(dialog: QDialog | None, kind: type[T]) -> T:
    assert isinstance(dialog, kind)
    return dialog
