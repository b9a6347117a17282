"""Asks CUPS and printers by ipptool, a program that is not ours, so that tests do not check us by ourselves."""

import plistlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.processes import Failed, run

HEAD = """
ATTR charset attributes-charset utf-8
ATTR naturalLanguage attributes-natural-language en
ATTR uri printer-uri $uri
"""


def ask(
    uri: str, operation: str, attributes: Sequence[str], env: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """The attribute groups of the answer, one dict each. Raises Failed where there is no answer."""
    body = "\n".join(f"ATTR {attribute}" for attribute in attributes)
    request = f'{{\nNAME "{operation}"\nOPERATION {operation}\nGROUP operation-attributes-tag\n{HEAD}{body}\n}}\n'
    with tempfile.NamedTemporaryFile("w", suffix=".test") as file:
        file.write(request)
        file.flush()
        done = run(["ipptool", "-X", "-T", "10", uri, Path(file.name)], timeout_s=20, env=env, check=False)
    try:
        results = plistlib.loads(done.stdout.encode())["Tests"]
    except (plistlib.InvalidFileException, ValueError, KeyError) as error:
        raise Failed(f"ipptool {operation} {uri}: no answer ({done.stdout.strip() or done.stderr.strip()})") from error
    if not results or "ResponseAttributes" not in results[0]:
        raise Failed(f"ipptool {operation} {uri}: no answer")
    groups: list[dict[str, Any]] = results[0]["ResponseAttributes"]
    return groups
