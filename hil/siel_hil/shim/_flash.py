# The board's flash: a block device in a file of the host, with the times of a W25Q16 (datasheet rev. M, table 9.6).
import _link

_SECTOR_ERASE_US = 45000
_PAGE_PROGRAM_US = 400
_PAGE_BYTES = 256


class Flash:
    def __init__(self, path, block_bytes, blocks):
        self._file = open(path, "r+b")
        self._block_bytes = block_bytes
        self._blocks = blocks

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * self._block_bytes + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        # Programming clears bits and never sets one: what was not erased shows.
        _link.exchange(ord("K"), 1)
        _link.spend(_PAGE_PROGRAM_US * ((len(buf) + _PAGE_BYTES - 1) // _PAGE_BYTES))
        at = block * self._block_bytes + offset
        old = bytearray(len(buf))
        self._file.seek(at)
        self._file.readinto(old)
        for i in range(len(buf)):
            old[i] &= buf[i]
        self._file.seek(at)
        self._file.write(old)

    def ioctl(self, op, argument):
        if op == 3:  # sync
            self._file.flush()
        elif op == 4:
            return self._blocks
        elif op == 5:
            return self._block_bytes
        elif op == 6:
            _link.exchange(ord("K"), 2)
            _link.spend(_SECTOR_ERASE_US)
            self._file.seek(argument * self._block_bytes)
            self._file.write(b"\xff" * self._block_bytes)
        return 0
