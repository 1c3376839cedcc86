# Makes a fresh flash file system with the files given: argv = flash file, stdin = lines of path and content (hex).
import sys
from binascii import unhexlify

import vfs


class _Ram:
    def __init__(self, path, block_bytes, blocks):
        self._file = open(path, "w+b")
        self._size = (block_bytes, blocks)
        for _ in range(blocks):
            self._file.write(b"\xff" * block_bytes)

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * self._size[0] + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        self._file.seek(block * self._size[0] + offset)
        self._file.write(buf)

    def ioctl(self, op, argument):
        if op == 4:
            return self._size[1]
        if op == 5:
            return self._size[0]
        if op == 6:
            self._file.seek(argument * self._size[0])
            self._file.write(b"\xff" * self._size[0])
        return 0


flash = _Ram(sys.argv[1], 4096, 64)
vfs.VfsLfs2.mkfs(flash)
vfs.mount(vfs.VfsLfs2(flash), "/flash")
for line in sys.stdin:
    name, content = line.rstrip("\n").split(" ")
    with open("/flash" + name, "wb") as file:
        file.write(unhexlify(content))
vfs.umount("/flash")
flash._file.close()
