"""Where a run keeps its things: images once per board, a flash file per participant, real MicroPython."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from siel_hil import image
from siel_hil.flash import format_flashes
from siel_hil.parts import Program, find_micropython
from siel_hil.pins import Wiring
from siel_hil.process import SHIM, MicroPythonBoard
from siel_hil.world import World

RAM_DISK: Final = Path("/dev/shm")  # noqa: S108 - a folder of the run's own is made below it
ROOM_BYTES: Final = 1 << 30
"""A run of a thousand nodes and some days leaves three quarters of it free."""


def scratch_dir() -> Path | None:
    """Return where a run's folder is best made: in memory when there is room; None for the usual place.

    A run ends with its machine, so nothing of it has to survive a power cut of the host, and to wait for a disk's
    fsync would be most of the time of a quiet hour. ``TMPDIR`` decides when it is set.
    """
    if "TMPDIR" in os.environ or not os.access(RAM_DISK, os.W_OK):
        return None
    disk = os.statvfs(RAM_DISK)
    return RAM_DISK if disk.f_bavail * disk.f_frsize > ROOM_BYTES else None


class Stage:
    """Builds boards in a folder of its own.

    Args:
        workdir: An empty folder that outlives the run.
    """

    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir
        self._program: Program | None = None
        self._images: dict[str, Path] = {}
        self._boards: dict[str, dict[str, Any]] = {}
        self._shim: Path | None = None
        self._formatted: dict[str, Mapping[str, bytes]] = {}
        self._staged = 0
        self._patches: dict[str, dict[str, image.Change]] = {}

    @property
    def program(self) -> Program:
        """The real MicroPython."""
        if self._program is None:
            self._program = find_micropython()
        return self._program

    def board_data(self, board: str) -> dict[str, Any]:
        """Return board.toml of ``board``, a copy of the caller's own."""
        if board not in self._boards:
            self._boards[board] = image.load_board(board)
        return deepcopy(self._boards[board])

    def patch(self, board: str, module: str, change: image.Change) -> None:
        """Plant a fault: boards of this kind made from now on carry ``module`` with its source changed.

        Args:
            board: Which board.
            module: Path of the module, such as ``siel_node/radio/sx126x.py``.
            change: Source in, source out.
        """
        self._patches.setdefault(board, {})[module] = change
        self._images.pop(board, None)

    @property
    def shim(self) -> Path:
        """The shim's modules, compiled: each process would spend more on that than on its first virtual hour."""
        if self._shim is None:
            self._shim = self.workdir / "shim"
            self._shim.mkdir()
            for source in sorted(SHIM.glob("*.py")):
                compiled = image.compile_module(source, source.name, image.compiled_dir())
                shutil.copyfile(compiled, self._shim / f"{source.stem}.mpy")
        return self._shim

    def format(self, boards: Mapping[str, Mapping[str, bytes]]) -> None:
        """Make the flash of many boards at once; ``build`` does it for each that was forgotten here.

        Args:
            boards: Name -> what its file system holds before the first start.
        """
        (self.workdir / "flash").mkdir(exist_ok=True)
        format_flashes(
            self.program.argv, self.program.env, {self._flash(name): files for name, files in boards.items()}
        )
        self._formatted |= boards

    def _flash(self, name: str) -> Path:
        return self.workdir / "flash" / f"{name}.bin"

    def build(
        self,
        world: World,
        name: str,
        board: str,
        wiring: Wiring,
        files: Mapping[str, bytes],
        on_line: Callable[[str], None] | None = None,
    ) -> MicroPythonBoard:
        """Make one board, its flash holding ``files``, not yet powered.

        Args:
            world: Where it lives.
            name: Its name.
            board: Which board it is.
            wiring: What its pins reach.
            files: What its file system holds before the first start.
            on_line: Hears what it prints.
        """
        if board not in self._images:
            # a folder for each image: boards that run may start again from theirs
            self._staged += 1
            self._images[board] = image.stage(
                board,
                self.workdir / "image" / f"{board}-{self._staged}",
                image.compiled_dir(),
                self._patches.get(board, {}),
            )
        # good for one board: a second one of that name starts with a flash of its own
        if self._formatted.pop(name, None) != files:
            self.format({name: files})
            del self._formatted[name]
        return MicroPythonBoard(
            world,
            name,
            argv=self.program.argv,
            env=self.program.env,
            image=self._images[board],
            flash=self._flash(name),
            wiring=wiring,
            on_line=on_line,
            shim=self.shim,
        )


def spi_pins(radio: Mapping[str, Any]) -> dict[str, int]:
    """Return the pins of one [[radio]] of board.toml that the emulation watches; which it has depends on the chip."""
    return {name: radio[name] for name in ("cs", "busy", "dio0", "dio1", "reset") if name in radio}
