# Makes fresh flash file systems: stdin = for each "=" and its file (hex), then lines of path and content (hex).
import sys
from binascii import unhexlify

import vfs

BLOCK_BYTES = 4096
BLOCKS = 64


class _Ram:
    def __init__(self):
        self.data = bytearray(b"\xff" * (BLOCK_BYTES * BLOCKS))

    def readblocks(self, block, buf, offset=0):
        at = block * BLOCK_BYTES + offset
        buf[:] = memoryview(self.data)[at : at + len(buf)]

    def writeblocks(self, block, buf, offset=0):
        at = block * BLOCK_BYTES + offset
        self.data[at : at + len(buf)] = buf

    def ioctl(self, op, argument):
        if op == 4:
            return BLOCKS
        if op == 5:
            return BLOCK_BYTES
        if op == 6:
            self.writeblocks(argument, b"\xff" * BLOCK_BYTES)
        return 0


def _finish(path):
    vfs.umount("/flash")
    with open(path, "wb") as file:
        file.write(flash.data)


flash = _Ram()
vfs.VfsLfs2.mkfs(flash)
fresh = bytes(flash.data)
path = None
for line in sys.stdin:
    name, content = line.rstrip("\n").split(" ")
    if name == "=":
        if path:
            _finish(path)
        path = unhexlify(content).decode()
        flash.data[:] = fresh
        vfs.mount(vfs.VfsLfs2(flash), "/flash")
    else:
        with open("/flash" + name, "wb") as file:
            file.write(unhexlify(content))
if path:
    _finish(path)
