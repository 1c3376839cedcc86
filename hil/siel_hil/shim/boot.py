# Start of an emulated board: argv = fd of the coordinator, wiring (JSON), image folder, flash file.
# Mounts the image read-only at /rom and the flash at /, as a board with frozen modules looks, and runs main.
import builtins
import io
import json
import random
import sys

import _link
import machine
import vfs
from _flash import Flash

BLOCK_BYTES = 4096
BLOCKS = 64


def _print(*values, sep=" ", end="\n", file=None):
    text = sep.join([str(value) for value in values])
    _link.exchange("L", 0, text.encode()[:900] or b" ")


def _start(wiring, image, flash_path):
    machine._wire(wiring)
    random.seed(wiring["seed"])
    _link.exchange("B")
    flash = Flash(flash_path, BLOCK_BYTES, BLOCKS)
    vfs.mount(vfs.VfsPosix(sys.path[0]), "/shim")
    vfs.mount(vfs.VfsPosix(image), "/rom")
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash), "/")
    sys.path[:] = ["/shim", "/rom", "/rom/lib", ".frozen"]
    builtins.print = _print
    __import__("main")


try:
    _start(json.loads(sys.argv[2]), sys.argv[3], sys.argv[4])
    _link.exchange("Y", 0, b"main ended")
except SystemExit:
    pass
except BaseException as error:  # noqa: BLE001 - the coordinator must hear of any end
    text = io.StringIO()
    sys.print_exception(error, text)
    _link.exchange("Y", 1, text.getvalue().encode()[-900:])
