"""Where a run keeps its things: images once per board, a flash file per participant, real MicroPython."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from siel_hil import image
from siel_hil.flash import format_flash
from siel_hil.parts import Program, find_micropython
from siel_hil.parts.cache import cache_root
from siel_hil.process import MicroPythonBoard, Wiring
from siel_hil.world import World


class Stage:
    """Builds boards in a folder of its own.

    Args:
        workdir: An empty folder that outlives the run.
    """

    def __init__(self, workdir: Path) -> None:
        self.workdir = workdir
        self._program: Program | None = None
        self._images: dict[str, Path] = {}
        self._staged = 0
        self._patches: dict[str, dict[str, image.Change]] = {}

    @property
    def program(self) -> Program:
        """The real MicroPython."""
        if self._program is None:
            self._program = find_micropython()
        return self._program

    def board_data(self, board: str) -> dict[str, Any]:
        """Return board.toml of ``board``."""
        return image.load_board(board)

    def patch(self, board: str, module: str, change: image.Change) -> None:
        """Plant a fault: boards of this kind made from now on carry ``module`` with its source changed.

        Args:
            board: Which board.
            module: Path of the module, such as ``siel_node/radio/sx126x.py``.
            change: Source in, source out.
        """
        self._patches.setdefault(board, {})[module] = change
        self._images.pop(board, None)

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
                cache_root(os.environ).parent / "mpy",
                self._patches.get(board, {}),
            )
        flash = self.workdir / "flash" / f"{name}.bin"
        flash.parent.mkdir(exist_ok=True)
        format_flash(self.program.argv, self.program.env, flash, files)
        return MicroPythonBoard(
            world,
            name,
            argv=self.program.argv,
            env=self.program.env,
            image=self._images[board],
            flash=flash,
            wiring=wiring,
            on_line=on_line,
        )


def spi_pins(radio: Mapping[str, Any]) -> dict[str, int]:
    """Return the pins of one [[radio]] of board.toml that the emulation watches."""
    return {name: radio[name] for name in ("cs", "busy", "dio1", "reset")}
