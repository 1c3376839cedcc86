"""What may stand in a board.toml: one model per table, and what a microcontroller's pins can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, ClassVar, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

Bus = Literal["spi", "uart", "i2c"]


def _rp2040_fits(bus: Bus, number: int, signal: str, pin: int) -> bool:
    # Source: RP2040 data sheet, table "GPIO functions" (section 1.4.3); it repeats every 16 pins
    if bus == "spi":
        return pin % 4 == {"miso": 0, "sck": 2, "mosi": 3}[signal] and pin // 8 % 2 == number
    if bus == "uart":
        return pin % 4 == {"tx": 0, "rx": 1}[signal] and (pin + 4) // 8 % 2 == number
    return pin % 2 == {"sda": 0, "scl": 1}[signal] and pin // 2 % 2 == number


def _any_pin(bus: Bus, number: int, signal: str, pin: int) -> bool:
    # Source: ESP32-S3 data sheet: a matrix leads every signal of these buses to every pin
    del bus, number, signal, pin
    return True


class Mcu(NamedTuple):
    """One kind of microcontroller."""

    title: str
    pins: frozenset[int]
    """GPIO numbers that are led out or can be."""
    adc_pins: frozenset[int]
    buses: Mapping[Bus, range]
    """The numbers that machine's SPI, UART and I2C take."""
    fits: Callable[[Bus, int, str, int], bool]
    """Whether a pin can carry a signal of a bus: (bus, its number, signal, pin)."""
    deep_sleep: bool
    """Whether it can switch itself off and come back by its own timer."""


MCUS: Final[Mapping[str, Mcu]] = {
    "rp2040": Mcu(
        title="RP2040",
        pins=frozenset(range(30)),
        adc_pins=frozenset(range(26, 30)),
        buses={"spi": range(2), "uart": range(2), "i2c": range(2)},
        fits=_rp2040_fits,
        deep_sleep=False,
    ),
    # Pins 22 to 25 do not exist; 26 to 32 hold its own flash. Source: ESP32-S3 data sheet, pin overview
    "esp32s3": Mcu(
        title="ESP32-S3",
        pins=frozenset(range(22)) | frozenset(range(33, 49)),
        adc_pins=frozenset(range(1, 21)),
        buses={"spi": range(1, 3), "uart": range(3), "i2c": range(2)},
        fits=_any_pin,
        deep_sleep=True,
    ),
}


class Table(BaseModel):
    """A table of board.toml."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    bus: ClassVar[tuple[Bus, str] | None] = None
    """The bus it is on, and the key that has its number."""
    signals: ClassVar[tuple[str, ...]] = ()
    """Keys that are pins of that bus."""
    shares: ClassVar[bool] = False
    """Whether another table may be on the same bus, with the same pins."""
    lines: ClassVar[tuple[str, ...]] = ()
    """Keys that are pins of this table alone."""
    analogue: ClassVar[tuple[str, ...]] = ()
    """Keys that are pins of the analogue converter."""


Pin = Annotated[int, Field(ge=0, le=63)]
Number = Annotated[int, Field(ge=0, le=7)]
Text = Annotated[str, Field(min_length=3, max_length=400)]


class General(Table):
    """[board]: what it is."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    title: Text
    role: Literal["node", "head"]
    mcu: Literal["rp2040", "esp32s3"]
    tried: bool
    """Whether somebody has had this firmware run on it."""


class Sx1262(Table):
    """[[radio]] with an SX1262 on an SPI bus."""

    bus = ("spi", "spi")
    signals = ("sck", "mosi", "miso")
    shares = True
    lines = ("cs", "busy", "dio1", "reset")

    chip: Literal["sx1262"]
    spi: Number
    sck: Pin
    mosi: Pin
    miso: Pin
    cs: Pin
    busy: Pin
    dio1: Pin
    reset: Pin
    tcxo_mv: Literal[0, 1600, 1700, 1800, 2200, 2400, 2700, 3000, 3300] = 0
    """On DIO3; 0: there is a crystal. Source: SX1261/2 data sheet, SetDIO3AsTcxoCtrl."""
    tcxo_us: Annotated[int, Field(ge=0, le=100_000)] = 5000
    dio2_rf_switch: bool = True
    dcdc: bool = True
    max_dbm: Annotated[int, Field(ge=-9, le=22)] = 22
    antenna_gain_db: Annotated[int, Field(ge=-20, le=20)] = 0


class A02yyuw(Table):
    """[[sensor]]: an ultrasonic distance sensor on a serial port."""

    bus = ("uart", "uart")
    signals = ("tx", "rx")
    lines = ("power",)

    kind: Literal["a02yyuw"]
    uart: Number
    tx: Pin
    rx: Pin
    power: Pin | None = None


class Sht4x(Table):
    """[[sensor]]: temperature and humidity on I2C."""

    bus = ("i2c", "i2c")
    signals = ("sda", "scl")
    shares = True

    kind: Literal["sht4x"]
    i2c: Number
    sda: Pin
    scl: Pin
    address: Annotated[int, Field(ge=8, le=0x77)] = 0x44


class Battery(Table):
    """[battery]: how the supply is measured."""

    analogue = ("adc",)

    adc: Pin
    full_mv: Annotated[int, Field(ge=1, le=100_000)]
    """What a full-scale reading stands for, the divider included."""


class Line(Table):
    """[line]: where a head's host is."""

    bus = ("uart", "id")
    signals = ("tx", "rx")

    kind: Literal["uart"]
    id: Number
    tx: Pin
    rx: Pin
    baud: Annotated[int, Field(ge=9600, le=3_000_000)] = 115_200


class Figure(Table):
    """A number, and where it comes from."""

    value: Annotated[float, Field(ge=0, le=1_000_000)]
    source: Text


class Energy(Table):
    """[energy]: what it draws, each figure with its source; stays off the device."""

    sleep_ua: Figure
    """Everything, while it sleeps as deep as it can and still comes back by itself."""
    mcu_ma: Figure
    """Everything but the radio, while it is awake."""
    rx_ma: Figure
    """The radio while it listens."""
    tx_ma: Figure
    """The radio while it sends at 14 dBm EIRP."""
    flash_write_mc: Figure
    """One record stored, beside what the microcontroller draws meanwhile."""


RADIOS: Final[Mapping[str, type[Table]]] = {"sx1262": Sx1262}
"""By ``chip``."""
SENSORS: Final[Mapping[str, type[Table]]] = {"a02yyuw": A02yyuw, "sht4x": Sht4x}
LINES: Final[Mapping[str, type[Table]]] = {"uart": Line}
"""Both by ``kind``."""
