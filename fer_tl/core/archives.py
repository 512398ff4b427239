"""Folders, archives, archives in archives and single files, all seen as one flat list of files."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, BinaryIO

from fer_tl.core.archive_members import (
    DEAD_LINKS,
    HIDDEN,
    MOST_BYTES,
    SPECIAL,
    PassedOver,
    copy_bounded,
    follow_links,
    is_junk,
    link_target,
    most_unpacked,
    plain_name,
    refuse_bomb,
    refuse_twins,
    sort_out,
    walk,
)
from fer_tl.core.checksums import hash_stream
from fer_tl.core.errors import UserError
from fer_tl.core.file_kinds import TAR_MAGIC, UNPACKERS, ZIP_MAGIC, readable, refuse_non_data

_LONGEST_NAME = 4096  # bytes, of Linux


class Files:
    """A folder, an archive or one file: its names (relative, "/" between parts) and their bytes.

    Hidden files and what operating systems leave behind (``.DS_Store``, ``Thumbs.db``, ``__MACOSX``) are left out, see
    ``members.sort_out``. Links in an archive stand for the files of the same archive that they lead to.

    Attributes:
        label: its base name, for messages.
        names: every file in it, in the order in which reading is fastest.
        folders: every folder in it, sorted; none for an archive, which need not list them.
        passed_over: what of it is not in ``names``, without what operating systems leave behind.
        linked: names that links in an archive lead to.
        budget: bytes that may come out of an archive and those in it, None for a folder.
    """

    folders: tuple[str, ...] = ()
    linked: frozenset[str] = frozenset()
    budget: int | None = None

    def __init__(self, label: str, names: list[str], passed_over: PassedOver | None = None) -> None:
        self.label = label
        self.names, hidden = sort_out(names)
        passed = {**(passed_over or {}), HIDDEN: hidden}
        self.passed_over: PassedOver = {why: kept for why, of in passed.items() if (kept := _without_junk(of))}
        self._closing: list[IO[bytes] | Files | zipfile.ZipFile | tarfile.TarFile] = []

    def open(self, name: str) -> BinaryIO:
        """Open one file of ``names`` for reading from its start; one at a time."""
        raise NotImplementedError

    def read(self, name: str) -> bytes:
        """All bytes of one file.

        Raises:
            UserError: the archive is damaged, or the file cannot be read or has more than ``MOST_BYTES``.
        """
        with readable(self.where(name)), self.open(name) as stream:
            data = stream.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise UserError(f"{self.where(name)} has more than {MOST_BYTES >> 20} MB: no image or list has so many")
        return data

    def head(self, name: str, size: int = 512) -> bytes:
        """The first bytes of one file."""
        with readable(self.where(name)), self.open(name) as stream:
            return stream.read(size)

    def where(self, name: str) -> str:
        """How a message names one of the files."""
        return f"{name} in {self.label}"

    @contextlib.contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        """A path by which another program or library can open one file, for the time of a ``with``."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"file{Path(name).suffix}"
            with readable(self.where(name)), self.open(name) as stream, path.open("wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
            yield path

    def nested(self, name: str) -> Files:
        """Open a file of this folder or archive that is an archive itself."""
        spool = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._closing.append(spool)
        with readable(self.where(name)), self.open(name) as stream:
            shutil.copyfileobj(stream, spool, 1 << 20)
        spool.seek(0)
        inner = _open_stream(spool, name.rsplit("/", 1)[-1], self.budget)
        self._closing.append(inner)
        return inner

    def sha256(self, used: list[str]) -> str:
        """Hash of the names and bytes of the files ``used``."""
        lines = []
        for name in sorted(used):
            with readable(self.where(name)), self.open(name) as stream:
                lines.append(f"{name}\0{hash_stream(stream)}\n")
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def close(self) -> None:
        for item in reversed(self._closing):
            item.close()


class _Folder(Files):
    def __init__(self, root: Path) -> None:
        found, passed = walk(root)
        names = [f"{folder}/{name}" if folder else name for folder, names in found.items() for name in names]
        super().__init__(root.resolve().name, sorted(names), passed)
        self.folders = tuple(sorted(f for f in found if not is_junk(f) and not any(p[:1] == "." for p in f.split("/"))))
        self._root = root

    def open(self, name: str) -> BinaryIO:
        return (self._root / name).open("rb")

    @contextlib.contextmanager
    def on_disk(self, name: str) -> Iterator[Path]:
        yield self._root / name


class _Single(Files):
    def __init__(self, stream: IO[bytes], label: str) -> None:
        super().__init__(label, [])
        self.names = [label]  # named by the user, so never junk
        self._stream = stream

    def open(self, name: str) -> BinaryIO:
        self._stream.seek(0)
        # The raw stream is read again for the next split, so it must survive the closing of this view of it.
        return io.BufferedReader(_Unclosed(self._stream), 1 << 16)

    def where(self, name: str) -> str:
        return name


class _Unclosed(io.RawIOBase):
    """A view of a stream whose ``close`` leaves the stream open."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class _Zip(Files):
    def __init__(self, stream: IO[bytes], label: str, budget: int) -> None:
        with readable(label):
            self._archive = zipfile.ZipFile(stream)
            members, links, special = self._sorted(label, budget)
        found, dead = follow_links(links, members)
        self._members = members | {name: members[target] for name, target in found.items()}
        super().__init__(label, sorted(self._members), {SPECIAL: special, DEAD_LINKS: dead})
        self.linked = frozenset(found.values())
        self._closing.append(self._archive)

    def open(self, name: str) -> BinaryIO:
        return self._archive.open(self._members[name])  # type: ignore[return-value]

    def _sorted(self, label: str, budget: int) -> tuple[dict[str, zipfile.ZipInfo], dict[str, str | None], list[str]]:
        """Regular files, links, and others."""
        # Archives made on Windows may have "\\" between the parts.
        infos = [(info.filename.replace("\\", "/"), info) for info in self._archive.infolist()]
        infos = [(plain_name(name), info) for name, info in infos if plain_name(name) and not name.endswith("/")]
        refuse_twins((name for name, _ in infos), label)
        refuse_bomb(sum(info.file_size for _, info in infos), budget, label)
        members: dict[str, zipfile.ZipInfo] = {}
        links: dict[str, str | None] = {}
        special = []
        for name, info in infos:
            kind = stat.S_IFMT(info.external_attr >> 16)  # of Unix, 0 where the archive was made elsewhere
            if kind == stat.S_IFLNK:
                with self._archive.open(info) as stream:
                    target = stream.read(_LONGEST_NAME).decode(errors="surrogateescape")
                links[name] = link_target(name, target)
            elif kind in (0, stat.S_IFREG):
                members[name] = info
            elif kind != stat.S_IFDIR:
                special.append(name)
        return members, links, special


class _Tar(Files):
    def __init__(self, stream: IO[bytes], label: str, budget: int) -> None:
        with readable(label):
            self._archive = tarfile.open(fileobj=stream, mode="r:")  # noqa: SIM115  # closed by `close`
            infos = [(plain_name(info.name), info) for info in self._archive.getmembers() if not info.isdir()]
        hard = {name: plain_name(info.linkname) for name, info in infos if info.islnk()}
        # A file that was given to tar twice is a hard link to itself the second time.
        infos = [(name, info) for name, info in infos if hard.get(name) != name or not info.islnk()]
        refuse_twins((name for name, _ in infos), label)
        self._members = {name: info for name, info in infos if info.isfile()}
        refuse_bomb(sum(info.size for info in self._members.values()), budget, label)  # sparse files can say anything
        links = {name: link_target(name, info.linkname) for name, info in infos if info.issym()}
        links |= {name: hard[name] for name, info in infos if info.islnk()}
        special = [name for name, info in infos if not (info.isfile() or info.issym() or info.islnk())]
        found, dead = follow_links(links, self._members)
        linked = {name: self._members[target] for name, target in found.items()}
        self._members = dict(sorted((self._members | linked).items(), key=lambda item: item[1].offset_data))
        super().__init__(label, list(self._members), {SPECIAL: special, DEAD_LINKS: dead})
        self.linked = frozenset(found.values())
        self._closing.append(self._archive)

    def open(self, name: str) -> BinaryIO:
        stream = self._archive.extractfile(self._members[name])
        assert stream is not None  # `isfile` held
        return stream  # type: ignore[return-value]


def open_files(path: Path) -> Files:
    """Open a folder, a file, or an archive (zip, tar, gz, bz2, xz, whatever its name says).

    Raises:
        UserError: nothing is there, or it is empty, damaged, or of a kind that cannot be opened.
    """
    if path.is_dir():
        return _Folder(path)
    if not path.exists():
        raise UserError(f"{path} does not exist: give the file, archive or folder that holds the data")
    if not path.is_file():
        raise UserError(f"{path} is a device or a pipe: give a file, an archive or a folder")
    with readable(str(path)):
        stream = path.open("rb")
    return _open_stream(stream, path.name)


def _open_stream(stream: IO[bytes], label: str, budget: int | None = None) -> Files:
    held = [stream]
    if budget is None:
        budget = most_unpacked(stream.seek(0, io.SEEK_END))
        stream.seek(0)
    try:
        while True:
            head = stream.read(512)
            stream.seek(0)
            unpack = next((tool for magic, tool in UNPACKERS.items() if head.startswith(magic)), None)
            if unpack is None:
                break
            spool = tempfile.TemporaryFile()  # noqa: SIM115  # on disk: a compressed stream cannot be read from the middle
            held.append(spool)
            with readable(label), unpack(stream, "rb") as plain:
                copy_bounded(plain, spool, budget, label)
            spool.seek(0)
            stream = spool
        refuse_non_data(head, label)
        if head.startswith(ZIP_MAGIC):
            files: Files = _Zip(stream, label, budget)
        elif head[TAR_MAGIC] == b"ustar":
            files = _Tar(stream, label, budget)
        else:
            files = _Single(stream, label)
    except BaseException:
        for item in held:
            item.close()
        raise
    files.budget = budget
    files._closing[:0] = held
    return files


def _without_junk(names: list[str]) -> list[str]:
    return [name for name in names if not is_junk(name)]
