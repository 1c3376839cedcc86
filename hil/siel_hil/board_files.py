"""The boards that come with Siel: their board.toml, checked as a whole before anything is made of it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from siel_codecs.toml_lines import TomlPath, line_index, line_of, show_path, syntax_line
from siel_gateway.config_words import explain
from siel_gateway.errors import Fault
from siel_hil.board_models import LINES, MCUS, RADIOS, SENSORS, Battery, Energy, General, Mcu, Table
from siel_hil.errors import ImageError

MAX_BYTES: Final = 64 * 1024
MAX_RADIOS: Final = 4
"""What one head serves."""
_TABLES: Final = ("board", "radio", "sensor", "battery", "line", "energy")
_OFF_DEVICE: Final = ("title", "tried")
"""What of [board] only people read; [energy] is theirs too."""
_Found = TypeVar("_Found", bound=Table)


class BoardError(ImageError):
    """A board.toml is wrong; ``faults`` has all of it, in the order of the file."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(map(str, self.faults)))


@dataclass(frozen=True)
class Board:
    """A board as its file tells it."""

    general: General
    radios: tuple[Table, ...]
    """One each of ``RADIOS``."""
    sensors: tuple[Table, ...]
    line: Table | None
    energy: Energy
    data: Mapping[str, Any]
    """What the firmware gets as ``BOARD``: the file's words and what holds where it says nothing; no texts."""

    @property
    def mcu(self) -> Mcu:
        """What its microcontroller can do."""
        return MCUS[self.general.mcu]


def package_dir(package: str) -> Path:
    """Return the folder of an installed package.

    Raises:
        ImageError: It is not installed.
    """
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ImageError(f"the package {package} is not installed; install Siel as its README says")
    return Path(spec.origin).parent


def boards_dir() -> Path:
    """Return the folder of all boards: beside the firmware in a checkout, inside this package when installed."""
    beside = package_dir("siel_node").parent / "boards"
    if beside.is_dir():
        return beside
    return Path(str(resources.files("siel_hil") / "boards"))


def names() -> list[str]:
    """Return the names of all boards."""
    return sorted(path.parent.name for path in boards_dir().glob("*/board.toml"))


def load(board: str) -> Board:
    """Return a board by its name.

    Raises:
        ImageError: There is no such board.
        BoardError: Its board.toml is wrong.
    """
    if board not in (known := names()):
        raise ImageError(f"there is no board {board!r}; known: {', '.join(known)}")
    path = boards_dir() / board / "board.toml"
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ImageError(f"cannot read {path}: {error.strerror}") from error
    return parse(text, str(path), board)


def parse(text: bytes, file: str, name: str | None = None) -> Board:
    """Check the text of a board.toml.

    Args:
        text: At most ``MAX_BYTES``.
        file: Where it comes from, for the faults.
        name: What ``board.name`` has to be; None: anything.

    Raises:
        BoardError: Something is wrong; it has every fault that can be told.
    """
    if len(text) > MAX_BYTES:
        raise BoardError([Fault(file, 1, "", f"longer than {MAX_BYTES} bytes: not a board's file")])
    try:
        decoded = text.decode("utf-8").replace("\r\n", "\n")
        data = tomllib.loads(decoded)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        line = syntax_line(str(error)) or (text.count(b"\n") + 1)
        raise BoardError([Fault(file, line, "", f"not TOML: {error or 'nested too deep'}")]) from error
    return _Reader(data, line_index(decoded), file).board(name)


class _Reader:
    """One file; it notes faults and goes on."""

    def __init__(self, data: dict[str, Any], lines: dict[TomlPath, int], file: str) -> None:
        self._data, self._lines, self._file = data, lines, file
        self._faults: list[Fault] = []
        self._tables: list[tuple[TomlPath, Table]] = []

    def board(self, name: str | None) -> Board:
        for key in self._data:
            if key not in _TABLES:
                self._note((key,), f"unknown; the tables of a board are {', '.join(_TABLES)}")
        general = self._table(("board",), self._data.get("board", {}), General)
        energy = self._table(("energy",), self._data.get("energy", {}), Energy)
        radios = self._array("radio", "chip", RADIOS)
        sensors = self._array("sensor", "kind", SENSORS)
        battery = self._table(("battery",), self._data["battery"], Battery) if "battery" in self._data else None
        line = self._kind(("line",), self._data["line"], "kind", LINES) if "line" in self._data else None
        if general is not None:
            if name is not None and general.name != name:
                self._note(("board", "name"), f"this file lies in the folder {name}: both have to be the same")
            self._role(general)
            self._wires(MCUS[general.mcu])
        if self._faults or general is None or energy is None:
            raise BoardError(self._faults)
        data: dict[str, Any] = {"board": general.model_dump(exclude=set(_OFF_DEVICE)), "radio": _dump(radios)}
        if sensors:
            data["sensor"] = _dump(sensors)
        for key, table in (("battery", battery), ("line", line)):
            if table is not None:
                data[key] = table.model_dump()
        return Board(general, tuple(radios), tuple(sensors), line, energy, data)

    def _note(self, path: TomlPath, text: str) -> None:
        self._faults.append(Fault(self._file, line_of(self._lines, path), show_path(path), text))

    def _table(self, path: TomlPath, raw: object, model: type[_Found]) -> _Found | None:
        if not isinstance(raw, dict):
            self._note(path, "a table is needed")
            return None
        try:
            found = model.model_validate(raw)
        except ValidationError as error:
            for below, text in explain(model, error):
                self._note((*path, *below), text)
            return None
        self._tables.append((path, found))
        return found

    def _kind(self, path: TomlPath, raw: object, key: str, kinds: Mapping[str, type[Table]]) -> Table | None:
        kind = raw.get(key) if isinstance(raw, dict) else None
        if isinstance(raw, dict) and (not isinstance(kind, str) or kind not in kinds):
            self._note((*path, key), f"has to be one of: {', '.join(kinds)}")
            return None
        return self._table(path, raw, kinds[kind] if isinstance(kind, str) else Table)

    def _array(self, name: str, key: str, kinds: Mapping[str, type[Table]]) -> list[Table]:
        raw = self._data.get(name, [])
        if not isinstance(raw, list):
            self._note((name,), f"is written [[{name}]], as there may be several")
            return []
        found = [self._kind((name, n), item, key, kinds) for n, item in enumerate(raw)]
        return [table for table in found if table is not None]

    def _role(self, general: General) -> None:
        head = general.role == "head"
        most = MAX_RADIOS if head else 1
        radios = self._data.get("radio", [])
        if isinstance(radios, list) and not 1 <= len(radios) <= most:
            says = f"1 to {most} [[radio]]" if head else "one [[radio]]"
            self._note(("radio",) if radios else ("board", "role"), f"a {general.role} has {says}")
        if head and "line" not in self._data:
            self._note(("board", "role"), "a head has a [line] to its host")
        for key in ("sensor", "battery") if head else ("line",):
            if key in self._data:
                self._note((key,), f"a {general.role} has none")

    def _wires(self, mcu: Mcu) -> None:
        owners: dict[int, str] = {}
        buses: dict[tuple[str, int], tuple[str, bool, tuple[int, ...]]] = {}
        for path, table in self._tables:
            taken = [(key, getattr(table, key)) for key in (*table.lines, *table.analogue)]
            if table.bus is not None:
                bus, key = table.bus
                number = getattr(table, key)
                pins = tuple(getattr(table, signal) for signal in table.signals)
                if number not in mcu.buses[bus]:
                    can = f"{mcu.buses[bus][0]} to {mcu.buses[bus][-1]}"
                    self._note((*path, key), f"{mcu.title} has no {bus.upper()} {number}, but {can}")
                else:
                    for signal, pin in zip(table.signals, pins, strict=True):
                        if not mcu.fits(bus, number, signal, pin):
                            self._note(
                                (*path, signal), f"{mcu.title} has no {bus.upper()} {number} {signal} on pin {pin}"
                            )
                other = buses.setdefault((bus, number), (show_path(path), table.shares, pins))
                if other[0] == show_path(path):
                    taken += zip(table.signals, pins, strict=True)
                elif not (table.shares and other[1] and other[2] == pins):
                    self._note((*path, key), f"{bus.upper()} {number} belongs to {other[0]}, on other pins or alone")
            for key, pin in taken:
                if pin is not None:
                    self._pin(mcu, (*path, key), pin, owners, analogue=key in table.analogue)

    def _pin(self, mcu: Mcu, path: TomlPath, pin: int, owners: dict[int, str], *, analogue: bool) -> None:
        if pin not in mcu.pins:
            self._note(path, f"{mcu.title} has no pin {pin} for this")
        elif analogue and pin not in mcu.adc_pins:
            self._note(path, f"pin {pin} of {mcu.title} measures no voltage")
        if pin in owners:
            self._note(path, f"pin {pin} is already {owners[pin]}")
        owners.setdefault(pin, show_path(path))


def _dump(tables: list[Table]) -> list[dict[str, Any]]:
    return [table.model_dump(exclude_none=True) for table in tables]


def all_boards() -> Iterator[Board]:
    """Yield every board that comes with Siel, by name.

    Raises:
        BoardError: One of their files is wrong.
    """
    return map(load, names())
