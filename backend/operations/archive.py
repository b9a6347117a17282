"""The file of a backup: a ZIP archive with one stream of rows for each table and a manifest, the same for every engine.

`TABLE.jsonl` holds a row a line, a JSON list in the order of the manifest's columns (bytes in base64); `manifest.json`
tells the format, of what and when the backup is, and of each table its columns, its rows and the SHA-256 of its
stream. Any ZIP program can look into it.

Invariants: a file under its final name is whole, on the disk, readable by its owner alone (it holds password hashes),
and takes the place of another one only where that is asked for. What ends early leaves nothing behind. A reader hands
out no row of a stream as good before the manifest's counts and hashes were compared: `rows` raises at the latest after
the last one.
"""

import contextlib
import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import msgspec

from backend.base.cli import Failure

FORMAT: Final = 1
PROGRAM: Final = "inkeeper"
MANIFEST: Final = "manifest.json"
COMPRESSION: Final = 1  # half the size of none; more costs more time than it saves room
BLOCK: Final = 1 << 20
MAX_MANIFEST: Final = 1 << 20

_lines = msgspec.json.Encoder().encode_lines
_row: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[Any])


class TableEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One table's stream."""

    name: str
    columns: tuple[str, ...]
    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is of. `at` is the moment of its snapshot by the database's clock, `schema` the revision of its
    tables, `generation` and `term` the cluster's."""

    format: int
    program: str
    program_version: str
    at: int
    engine: str
    schema: str
    cluster_id: str
    generation: int
    term: int
    tables: tuple[TableEntry, ...] = ()

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.tables)


class ArchiveWriter:
    """Writes beside `path` under another name; `finish` gives it its own. A context manager: what was not finished is
    removed."""

    def __init__(self, path: Path, *, force: bool) -> None:
        self._path, self._force = path, force
        if not force and os.path.lexists(path):
            raise _is_there(path)
        try:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)  # mode 0600
        except OSError as error:
            raise Failure(f"{path} cannot be written: {error.strerror}") from error
        self._part = Path(name)
        self._file = os.fdopen(handle, "wb")
        self._zip = zipfile.ZipFile(self._file, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION)

    def add(self, name: str, columns: Sequence[str], portions: Iterator[Sequence[Sequence[Any]]]) -> TableEntry:
        """One table's rows. Raises Failure where the disk will not have them."""
        sha256, count = hashlib.sha256(), 0
        with _written(self._path), self._zip.open(f"{name}.jsonl", "w", force_zip64=True) as stream:
            for portion in portions:
                block = _lines(portion)
                sha256.update(block)
                stream.write(block)
                count += len(portion)
        return TableEntry(name=name, columns=tuple(columns), rows=count, sha256=sha256.hexdigest())

    def finish(self, manifest: Manifest) -> None:
        """The manifest, the disk, the name. Raises Failure."""
        with _written(self._path):
            self._zip.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
            self._zip.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._name()
            _sync_folder(self._path.parent)

    def _name(self) -> None:
        if self._force:
            self._part.replace(self._path)
            return
        try:
            os.link(self._part, self._path)  # never over another file
        except FileExistsError as error:
            raise _is_there(self._path) from error
        except OSError:  # a file system without hard links
            if os.path.lexists(self._path):
                raise _is_there(self._path) from None
            self._part.rename(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._part.unlink(missing_ok=True)
        for file in (self._zip, self._file):
            with contextlib.suppress(OSError):  # what could not be written has been told, or is not wanted any more
                file.close()


class ArchiveReader:
    """A backup's manifest, and its streams one after another. Raises Failure in words for people where the file is no
    backup, or not a whole one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise Failure(f"{path} cannot be read: {error.strerror}") from error
        except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError) as error:
            raise Failure(f"{path} is no backup, or was cut off: {error}") from error
        try:
            self.manifest = self._manifest()
        except BaseException:
            self._zip.close()
            raise

    def rows(self, entry: TableEntry) -> Iterator[list[list[Any]]]:
        """A table's rows in portions. Raises Failure where they are not those that were written."""
        sha256, count, rest = hashlib.sha256(), 0, b""
        with self._opened(f"{entry.name}.jsonl") as stream, self._sound(entry.name):
            while block := stream.read(BLOCK):
                sha256.update(block)
                *whole, rest = (rest + block).split(b"\n")
                portion = [_row.decode(line) for line in whole]
                if any(len(row) != len(entry.columns) for row in portion):
                    raise ValueError("a row has not as many values as there are columns")
                count += len(portion)
                yield portion
            if rest or (count, sha256.hexdigest()) != (entry.rows, entry.sha256):
                raise ValueError(f"its {count} rows are not the {entry.rows} that were written")

    def close(self) -> None:
        self._zip.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _manifest(self) -> Manifest:
        try:
            if self._zip.getinfo(MANIFEST).file_size > MAX_MANIFEST:
                raise KeyError
            content = self._zip.read(MANIFEST)
            known = msgspec.json.decode(content, type=dict[str, Any])
        except (KeyError, msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Failure(f"{self._path} is no backup of Inkeeper: it has no manifest") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
            raise Failure(f"{self._path} is damaged: its manifest cannot be read ({error})") from error
        if known.get("program") != PROGRAM:
            raise Failure(f"{self._path} is no backup of Inkeeper")
        if known.get("format") != FORMAT:
            raise Failure(
                f"{self._path} is a backup in format {known.get('format')}, this program reads format {FORMAT}: "
                "restore it with the version that made it, or a newer one"
            )
        try:
            return msgspec.json.decode(content, type=Manifest)
        except msgspec.DecodeError as error:
            raise Failure(f"{self._path} is damaged: its manifest is not as it should be ({error})") from error

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        try:
            stream = self._zip.open(name)
        except KeyError as error:
            raise Failure(f"{self._path} is damaged: {name} is missing") from error
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            raise Failure(f"{self._path} is damaged: {name}: {error}") from error
        with stream:
            yield stream

    @contextlib.contextmanager
    def _sound(self, table: str) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, msgspec.DecodeError) as error:
            raise Failure(f"{self._path} is damaged: table {table}: {error}") from error


def _is_there(path: Path) -> Failure:
    return Failure(f"{path} is there already: give another name, or --force to replace it")


@contextlib.contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Failure(f"{path} cannot be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
