# One record in two files that take turns: a power cut at any byte leaves the old content or the new one, never a mix.
# File: sequence (32 bits), length (16 bits), content, CRC-32 over all of it, little-endian.
import binascii
import struct

from ._compat import const

_HEAD = "<IH"
_HEAD_SIZE = const(6)
_CRC_SIZE = const(4)
# mypy's eyes only: the compiler drops the branch
TYPE_CHECKING = const(0)
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

# More than any record of ours, so that a wrecked file system cannot exhaust the heap
MAX_RECORD_BYTES = const(2304)


class Record:
    # path: without the slot's number, e.g. "/state" for /state.0 and /state.1. opener: like open, for tests.
    def __init__(self, path: str, opener: "Callable[[str, str], IO[bytes]]" = open) -> None:
        self._paths = (path + ".0", path + ".1")
        self._open = opener
        self._sequence = 0
        # The slot to write next: never the one that holds the newest valid content
        self._next = 0
        # Since construction, for whoever counts wear
        self.writes = 0

    def load(self) -> bytes | None:
        # The newest valid content, None when neither slot has any. To be called once before save.
        newest = None
        for slot in (0, 1):
            found = self._read(slot)
            if found and found[0] >= self._sequence:
                self._sequence, newest = found
                self._next = 1 - slot
        return newest

    def save(self, content: bytes | bytearray) -> bool:
        # True when the content is stored and read back. On False the content before is still there.
        head = struct.pack(_HEAD, self._sequence + 1, len(content))
        crc = binascii.crc32(content, binascii.crc32(head))
        self.writes += 1
        try:
            with self._open(self._paths[self._next], "wb") as file:
                file.write(head)
                file.write(content)
                file.write(struct.pack("<I", crc))
        except OSError:
            return False
        if self._read(self._next) != (self._sequence + 1, bytes(content)):
            return False
        self._sequence += 1
        self._next = 1 - self._next
        return True

    def _read(self, slot: int) -> tuple[int, bytes] | None:
        try:
            with self._open(self._paths[slot], "rb") as file:
                data = file.read(MAX_RECORD_BYTES + 1)
        except OSError:
            return None
        if not _HEAD_SIZE + _CRC_SIZE <= len(data) <= MAX_RECORD_BYTES:
            return None
        sequence, length = struct.unpack_from(_HEAD, data, 0)
        end = _HEAD_SIZE + length
        if len(data) != end + _CRC_SIZE:
            return None
        if struct.unpack_from("<I", data, end)[0] != binascii.crc32(data[:end]):
            return None
        return sequence, bytes(data[_HEAD_SIZE:end])
