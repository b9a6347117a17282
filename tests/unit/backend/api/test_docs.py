"""What an administrator can set, call or probe stands in docs/OPERATIONS.md, with the default it really has."""

from pathlib import Path

import msgspec
import pytest

from backend.access.model import ROLES
from backend.access.settings import KNOWN
from backend.api.app import OPERATIONS
from backend.main import LATER, ServerSettings

TEXT = (Path(__file__).parents[4] / "docs/OPERATIONS.md").read_text()
SETTINGS = [
    (section.name, field.name, field.default)
    for section in msgspec.structs.fields(ServerSettings)
    for field in msgspec.structs.fields(section.type)
]


@pytest.mark.parametrize(("section", "name", "default"), SETTINGS)
def test_every_setting_of_the_file_is_told_with_its_default(section: str, name: str, default: object) -> None:
    line = next((line for line in TEXT.splitlines() if line.startswith(f"| `[{section}] {name}` |")), "")
    assert line, f"[{section}] {name} is not in docs/OPERATIONS.md"
    shown = line.split("|")[2].strip().strip("`")
    if isinstance(default, float):
        assert float(shown) == default
    elif isinstance(default, bool):
        assert shown == str(default).lower()
    elif default not in ("", ()):
        assert shown == str(default)


def test_every_setting_of_the_database_is_told_with_its_default() -> None:
    for key, known in KNOWN.items():
        line = next((line for line in TEXT.splitlines() if line.startswith(f"| `{key}` |")), "")
        assert line, f"{key} is not in docs/OPERATIONS.md"
        if known.default:
            assert line.split("|")[2].strip().strip("`") == known.default


def test_commands_roles_and_probes_are_told() -> None:
    for word in ("run", "migrate", "token create", "config get", "config set", *LATER):
        assert f"`{word}" in TEXT
    for role in ROLES:
        assert f"`{role}`" in TEXT
    for operation in OPERATIONS:
        if operation.path.startswith("/health/"):
            assert f"`{operation.path}`" in TEXT
