# Start of an emulated board: argv = fds from and to the coordinator, image folder, flash file. The wiring comes as
# first answer.
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
    _link.post(ord("L") | 0x80, 0, text.encode()[:900] or b" ")


def _start(image, flash_path):
    shim = next(folder for folder in sys.path if folder and not folder.startswith("."))
    size = _link.exchange(ord("B"))
    wiring = json.loads(bytes(_link.payload[:size]))
    machine._wire(wiring)
    random.seed(wiring["seed"])
    flash = Flash(flash_path, BLOCK_BYTES, BLOCKS)
    vfs.mount(vfs.VfsPosix(shim), "/shim")
    vfs.mount(vfs.VfsPosix(image), "/rom")
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(flash), "/")
    sys.path[:] = ["/shim", "/rom", "/rom/lib", ".frozen"]
    builtins.print = _print
    __import__("main")


try:
    _start(sys.argv[3], sys.argv[4])
    _link.exchange(ord("Y"), 0, b"main ended")
except SystemExit:
    pass
except BaseException as error:  # noqa: BLE001 - the coordinator must hear of any end
    text = io.StringIO()
    sys.print_exception(error, text)
    try:
        _link.exchange(ord("Y"), 1, text.getvalue().encode()[-900:])
    except OSError:
        pass  # the coordinator is gone
