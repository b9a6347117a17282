"""Every command of the console in one table: menus, tool bars, shortcuts and the list of shortcuts are made from it.

A command exists once; a view only connects to it. So a shortcut cannot differ from its menu, and a test can demand that
each command has a text, a tip and a shortcut or a menu entry.
"""

from dataclasses import dataclass
from typing import Final, Literal

from PySide6.QtCore import QObject, Qt
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenuBar

from app.qt import icons
from app.qt.theme import Theme

Name = Literal[
    "connection", "reload", "quit", "live", "people", "find", "graph", "tree", "fit", "zoom_in", "zoom_out",
    "theme_system", "theme_light", "theme_dark", "theme_toggle", "keys", "about",
    "print_log", "queues", "users", "operators", "tokens", "audit", "settings", "export_log", "copy_jobs",
    "edit_queues", "new_user", "edit_user", "rename_user", "delete_user", "import_users", "copy_audit",
    "history", "drain", "undrain", "switchover", "database_switchover", "pause", "resume", "remove",
    "copy_event", "export_events",
    "jobs_all", "jobs_held", "jobs_look", "release_jobs", "cancel_jobs", "refund_job", "tick_off",
    "adjust", "undo_transfer", "copy_person", "log_out", "change_password",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spec:
    """`group` makes commands exclusive among each other; `icon` names a file of resources/icons."""

    text: str
    tip: str
    keys: tuple[str, ...] = ()
    icon: str = ""
    group: str = ""


SPECS: Final[dict[Name, Spec]] = {
    "connection": Spec("&Connection…", "Choose the servers and the access token", ("Ctrl+L",), "plug"),
    "reload": Spec("&Reload", "Read everything again, or connect again", ("F5", "Ctrl+R"), "reload"),
    "quit": Spec("&Quit", "Close the console", ("Ctrl+Q",)),
    "live": Spec("&Live view", "The cluster and its jobs", ("Ctrl+1",), "live", "page"),
    "people": Spec("&People", "Find a person and see the balance", ("Ctrl+2",), "people", "page"),
    "print_log": Spec("P&rint log", "Every job, by filters, to be saved as a table", ("Ctrl+3",), "printlog", "page"),
    "history": Spec("&History", "What happened to the cluster", ("Ctrl+4",), "history", "page"),
    "queues": Spec("&Queues", "All queues, their costs and policies", ("Ctrl+5",), "queue", "page"),
    "users": Spec("&Users", "All people who print", ("Ctrl+6",), "users", "page"),
    "operators": Spec("&Operators", "Who may log in, as what, with which limits", ("Ctrl+7",), "operator", "page"),
    "tokens": Spec("Access &tokens", "What opens the cluster to programs", ("Ctrl+8",), "key", "page"),
    "audit": Spec("&Audit log", "Who changed what, and who looked at whom", ("Ctrl+9",), "audit", "page"),
    "settings": Spec("&Settings", "What holds for the whole cluster", ("Ctrl+,",), "settings", "page"),
    "find": Spec("&Find a person", "Go to the look-up and type", ("Ctrl+F",), "search"),
    "graph": Spec("As &graph", "Show the cluster as a picture", ("Ctrl+G",), "graph", "shape"),
    "tree": Spec(
        "As &table", "Show the same as a table, for keyboard and screen readers", ("Ctrl+Shift+G",), "table", "shape"
    ),
    "fit": Spec("&Fit", "Show the whole cluster", ("Ctrl+0",), "fit"),
    "zoom_in": Spec("Zoom &in", "Closer", ("Ctrl++", "Ctrl+="), "plus"),
    "zoom_out": Spec("Zoom &out", "Further away", ("Ctrl+-",), "minus"),
    "drain": Spec("&Drain a server…", "Send a server’s clients to the others", ("Ctrl+D",)),
    "undrain": Spec("&Undrain a server…", "Let a drained server serve again", ("Ctrl+Shift+D",)),
    "switchover": Spec("Hand &leadership over…", "Let another server lead", ("Ctrl+Shift+L",)),
    "database_switchover": Spec("Hand the data&base over…", "Make a standby the primary", ("Ctrl+Shift+B",)),
    "pause": Spec("&Pause the cluster…", "Remove no members and change no DNS for a while", ("Ctrl+Shift+P",)),
    "resume": Spec("&Resume the cluster…", "End the pause", ("Ctrl+Shift+E",)),
    "remove": Spec("Re&move a server…", "Forget a server that is gone", ("Ctrl+Shift+M",)),
    "copy_event": Spec(
        "&Copy event", "Copy the chosen event of the history as a line of text", ("Ctrl+Shift+C",), "copy"
    ),
    "export_events": Spec("&Save history…", "Save the events that are shown as a table (CSV)", ("Ctrl+S",), "save"),
    "export_log": Spec(
        "Save &print log…", "Save all jobs that fit the filters as a table (CSV)", ("Ctrl+Shift+S",), "save"
    ),
    "edit_queues": Spec("&Edit queues…", "Change what the chosen queues cost and do", ("Ctrl+Shift+O",)),
    "new_user": Spec("&New user…", "Make a user", ("Ctrl+Shift+N",)),
    "edit_user": Spec("Edit use&r…", "Change details, cards and limits of the chosen user", ("Ctrl+Shift+F2",)),
    "rename_user": Spec("Ren&ame user…", "Give the chosen user another login", ("Ctrl+F2",)),
    "delete_user": Spec("&Delete user…", "Take the chosen user away; the history stays", ("Ctrl+Shift+Delete",)),
    "import_users": Spec("&Import users…", "Make or change many users from a file", ("Ctrl+Shift+I",)),
    "copy_audit": Spec("&Copy entries", "Copy the chosen entries of the audit log", ("Ctrl+Shift+A",), "copy"),
    "copy_jobs": Spec("Cop&y jobs", "Copy the chosen jobs of the print log", ("Ctrl+Shift+J",), "copy"),
    "jobs_all": Spec("&All jobs", "Show the newest jobs", ("Ctrl+J",), group="jobs"),
    "jobs_held": Spec("&Held jobs", "Show the jobs that wait to be released", ("Ctrl+H",), group="jobs"),
    "jobs_look": Spec("Jobs to &look at", "Show the jobs whose charge is in doubt", ("Ctrl+K",), group="jobs"),
    "release_jobs": Spec("&Release", "Let the chosen held jobs print", ("Ctrl+E",)),
    "cancel_jobs": Spec("&Cancel…", "Cancel the chosen jobs", ("Ctrl+Delete",)),
    "refund_job": Spec("Re&fund…", "Give back what the chosen job was charged, or part of it", ("Ctrl+Shift+R",)),
    "tick_off": Spec("Looked a&t…", "Somebody has looked at the chosen job", ("Ctrl+Shift+K",)),
    "adjust": Spec("&Adjust the balance…", "Add to the person’s balance, or take away", ("Ctrl+M",)),
    "undo_transfer": Spec(
        "&Undo a transfer…", "Undo the chosen adjustment or refund by a transfer the other way", ("Ctrl+Shift+U",)
    ),
    "copy_person": Spec(
        "&Copy as text", "Copy the person with jobs and transfers, for a ticket", ("Ctrl+Shift+Y",), "copy"
    ),
    "log_out": Spec("Log &out…", "End this log-in, also on the servers"),
    "change_password": Spec("Change &password…", "Choose another password for yourself"),
    "theme_system": Spec("As the &system", "Follow the desktop's colours", group="theme"),
    "theme_light": Spec("&Light", "Light colours", group="theme"),
    "theme_dark": Spec("&Dark", "Dark colours", group="theme"),
    "theme_toggle": Spec("&Switch light and dark", "The other colours", ("Ctrl+T",), "moon"),
    "keys": Spec("&Keyboard", "All shortcuts", ("F1",)),
    "about": Spec("&About Inkeeper", "Version and licence"),
}

MENUS: Final[tuple[tuple[str, tuple[Name | None, ...]], ...]] = (
    ("&Console", ("connection", "change_password", "log_out", None, "reload", None, "quit")),
    ("&View", ("live", "people", "print_log", "history", None, "graph", "tree", "fit", "zoom_in", "zoom_out")),
    (
        "&Administration",
        (
            "queues",
            "users",
            "operators",
            "tokens",
            None,
            "audit",
            "settings",
            None,
            "edit_queues",
            "new_user",
            "edit_user",
            "rename_user",
            "delete_user",
            "import_users",
            "copy_audit",
        ),
    ),
    ("&Find", ("find",)),
    (
        "&Jobs",
        (
            "jobs_all",
            "jobs_held",
            "jobs_look",
            None,
            "release_jobs",
            "cancel_jobs",
            "refund_job",
            "tick_off",
            None,
            "copy_jobs",
            "export_log",
        ),
    ),
    ("&Money", ("adjust", "undo_transfer", None, "copy_person")),
    (
        "C&luster",
        (
            "drain",
            "undrain",
            "switchover",
            "database_switchover",
            None,
            "pause",
            "resume",
            "remove",
            None,
            "copy_event",
            "export_events",
        ),
    ),
    ("&Theme", ("theme_system", "theme_light", "theme_dark", None, "theme_toggle")),
    ("&Help", ("keys", "about")),
)


class Actions(QObject):
    """The commands as QActions, by name."""

    def __init__(self, theme: Theme, parent: QObject) -> None:
        super().__init__(parent)
        self._theme = theme
        self._actions: dict[Name, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        for name, spec in SPECS.items():
            self._actions[name] = self._make(spec)
        theme.changed.connect(self._redraw)
        self._redraw()

    def __getitem__(self, name: Name) -> QAction:
        return self._actions[name]

    def fill(self, bar: QMenuBar) -> None:
        for title, names in MENUS:
            menu = bar.addMenu(title)
            menu.setAccessibleName(title.replace("&", ""))
            menu.setToolTipsVisible(True)
            for name in names:
                if name is None:
                    menu.addSeparator()
                else:
                    menu.addAction(self._actions[name])

    def offer(self, name: Name, reason: str) -> None:
        """Switch a command on, or off with the reason as its tip."""
        action, spec = self._actions[name], SPECS[name]
        action.setEnabled(not reason)
        keys = f"  ({spec.keys[0]})" if spec.keys else ""
        tip = f"Not now: {reason}" if reason else f"{spec.tip}{keys}"
        action.setToolTip(tip)
        action.setStatusTip(tip)

    def _make(self, spec: Spec) -> QAction:
        action = QAction(spec.text, self)
        action.setShortcuts([QKeySequence(keys) for keys in spec.keys])
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        keys = f"  ({spec.keys[0]})" if spec.keys else ""
        action.setToolTip(f"{spec.tip}{keys}")
        action.setStatusTip(spec.tip)
        if spec.group:
            action.setCheckable(True)
            self._groups.setdefault(spec.group, QActionGroup(self)).addAction(action)
        return action

    def _redraw(self) -> None:
        for name, spec in SPECS.items():
            if spec.icon:
                self._actions[name].setIcon(icons.icon(spec.icon, self._theme.colors))
