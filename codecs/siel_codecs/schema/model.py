"""The one model between a schema's text and everything made from it.

A payload is a walk from its first bit to its last. What stands there is a tuple of *items*:

    Leaf        Number, Choice, Opaque, Control, Constant, Reserved: some bits, most significant bit first
    Word        whole bytes in little-endian order that hold leaves
    Lookahead   reads a later leaf before the items whose meaning it steers; moves nothing
    Switch      one of several groups of items, by the code of a leaf read before
    Repeat      a list of one leaf
    Samples     a time series: the same leaves again and again, with times
    Tlv         entries that name themselves, up to the end

A number on the wire is a *code* of some bits. Its value in display units is ``(code * num + add) / den``: integers,
then one division, exact and the same in every language. All three are bounded so that the numerator is exact in a
double. Rounding on the way to a code is half away from zero of the value. Codes that say why there is no value are
``specials``; other codes outside ``code_min`` to ``code_max`` are never data.

Names that begin with an underscore steer the walk and are no data.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from fractions import Fraction
from typing import Any, Final, Literal

import msgspec

MAX_FIELD_BITS: Final = 32
MAX_PAYLOAD_BYTES: Final = 242
"""What EU868 carries at its fast data rates. Source: RP002-1.0.4, table "EU863-870 maximum payload size"."""
MAX_DR0_BYTES: Final = 51
"""What EU868 carries at its slowest data rate. Source: the same table."""
MAX_NUMERATOR: Final = 1 << 51
"""Below it two numerators over one denominator are two doubles."""
MAX_SAMPLES: Final = 256
"""The index of a sample is one byte of its Observation's identity."""
CHANNEL: Final = "{channel}"
"""Stands in the name of a leaf of a Tlv entry where the number of the entry's channel goes."""


class Absent(Enum):
    """Why a field of a sound frame carries no value; the text ends a warning."""

    NOT_AVAILABLE = "not available"
    UNDER_RANGE = "below its range"
    OVER_RANGE = "above its range"
    FAULT = "sensor fault"
    OUT_OF_RANGE = "outside its range"
    """A code that the schema gives no meaning."""


class Unit(msgspec.Struct, frozen=True):
    """One unit in the codes of those who ask: people, SenML, UCUM (SensorThings)."""

    display: str
    senml: str
    """A primary unit; empty where there is none that a factor reaches."""
    senml_num: int
    senml_den: int
    """A display value times num / den is the value in the SenML unit."""
    ucum: str


class NodeInput(msgspec.Struct, frozen=True):
    """The integer that the node's encoder takes (or its downlink decoder gives); times num / den it is the value."""

    name: str
    num: int
    den: int


class Special(msgspec.Struct, frozen=True):
    """Codes from ``first`` to ``last`` that carry no value but say why; the first is the one that is sent."""

    first: int
    last: int
    absent: Absent


class Number(msgspec.Struct, frozen=True, tag=True):
    """A number of some bits; ``code`` is what stands on the wire, its sign already applied."""

    name: str
    title: str
    bits: int
    signed: bool
    num: int
    add: int
    den: int
    code_min: int
    code_max: int
    specials: tuple[Special, ...]
    """Outside code_min to code_max and of each other."""
    saturates: bool
    """What is outside is sent as the UNDER_RANGE or OVER_RANGE special where there is one, else as the nearest value;
    False (commands): it is refused."""
    unit: Unit | None
    node: NodeInput | None
    """None: the node's integer is the value in steps of ``scale`` and its name is the field's."""

    @property
    def lowest(self) -> int:
        """The smallest code that the bits can say."""
        return -(1 << self.bits - 1) if self.signed else 0

    @property
    def highest(self) -> int:
        """The largest code that the bits can say."""
        return self.lowest + self.mask

    @property
    def mask(self) -> int:
        """All bits of the field set."""
        return (1 << self.bits) - 1

    @property
    def every_code_is_a_value(self) -> bool:
        """Whether no check is needed on reception."""
        return self.code_max - self.code_min == self.mask

    @property
    def scale(self) -> Fraction:
        """One step of the code in display units."""
        return Fraction(self.num, self.den)

    def special(self, absent: Absent) -> int | None:
        """Return the code that is sent to say so, None where there is none."""
        return next((special.first for special in self.specials if special.absent is absent), None)

    def value(self, code: int) -> int | float:
        """Return the value of a code in display units; an integer where no division is left."""
        steps = code * self.num + self.add
        return steps if self.den == 1 else steps / self.den


class Choice(msgspec.Struct, frozen=True, tag=True):
    """An enum or a flag: a code and what it means. A code that is not listed is no value."""

    name: str
    title: str
    bits: int
    meanings: tuple[tuple[int, str | bool], ...]
    """Code and value; no code and no value twice. A flag has the values False and True."""
    specials: tuple[Special, ...] = ()

    @property
    def is_flag(self) -> bool:
        """Whether the values are False and True."""
        return all(isinstance(value, bool) for _, value in self.meanings)

    def special(self, absent: Absent) -> int | None:
        """Return the code that is sent to say so, None where there is none."""
        return next((special.first for special in self.specials if special.absent is absent), None)


class Opaque(msgspec.Struct, frozen=True, tag=True):
    """Whole bytes shown as lower-case hex: serial numbers, firmware versions. Starts on a byte."""

    name: str
    title: str
    bits: int
    """A multiple of 8; may exceed MAX_FIELD_BITS."""


class Control(msgspec.Struct, frozen=True, tag=True):
    """An unsigned code that steers other items and is no data; an encoder derives it from the data."""

    name: str
    bits: int


class Constant(msgspec.Struct, frozen=True, tag=True):
    """A code that must stand there; ``title`` says what it is in the error when it does not."""

    title: str
    bits: int
    code: int


class Reserved(msgspec.Struct, frozen=True, tag=True):
    """Bits that are sent as 0 and not looked at when received; any number of them."""

    bits: int


Leaf = Number | Choice | Opaque | Control | Constant | Reserved
Element = Number | Choice | Reserved
"""What may stand in a series."""


class Word(msgspec.Struct, frozen=True, tag=True):
    """Whole bytes, the least significant first; as a number of ``bits`` bits they hold the leaves from the top down.

    Starts on a byte. The leaves fill it; Opaque is not among them.
    """

    bits: int
    """8, 16, 24 or 32."""
    leaves: tuple[Leaf, ...]

    def shifts(self) -> tuple[int, ...]:
        """Return per leaf how many bits of the number stand right of it."""
        return _shifts(self.bits, self.leaves)


class Lookahead(msgspec.Struct, frozen=True, tag=True):
    """Reads the code of a later Control or Choice now, at ``bit`` from the payload's start; not for Tlv entries."""

    name: str
    bit: int
    bits: int


class Arm(msgspec.Struct, frozen=True):
    """What follows when the control has one of ``codes``; the first is the one an encoder sends."""

    codes: tuple[int, ...]
    items: tuple[Item, ...]


class Switch(msgspec.Struct, frozen=True, tag=True):
    """One of several groups by the code of ``control``: presence bits, mode bits, unions by a type field.

    The control is a Control or a Choice that was read before in the same message (or the same Tlv entry).
    """

    control: str
    arms: tuple[Arm, ...]
    """No code in two of them. An arm without items is an absent group."""
    otherwise: Literal["error", "ignore"]
    """A code in no arm is an error, or nothing follows for it."""


class Repeat(msgspec.Struct, frozen=True, tag=True):
    """A list ``leaf.name`` of values; what is absent in it is None, with a warning ``name[index]: ...``."""

    leaf: Number | Choice
    count: int | str | None
    """Fixed, the name of a Control, or None: to the end of the payload (then a leaf has at least 8 bits)."""


class SeriesLeaf(msgspec.Struct, frozen=True):
    """A leaf of each sample; with ``delta_bits`` all samples but the first on the wire are coded as differences.

    A difference is a signed code of ``delta_bits`` added to the leaf's code in the sample before it on the wire. Its
    most negative code is the escape: the leaf's whole code follows. An encoder sends a difference when both codes are
    values (``code_min`` to ``code_max``) and it fits, else the escape.
    """

    leaf: Element
    delta_bits: int = 0


class Step(msgspec.Struct, frozen=True):
    """The time between two samples: ``code * ms_num + ms_add`` with the code of a Number that was read before.

    It is not known where that code is no value (outside ``code_min`` to ``code_max``) or the time is not above 0.
    """

    name: str
    ms_num: int
    ms_add: int


class Samples(msgspec.Struct, frozen=True, tag=True):
    """A time series. Sample 0 of the result is the newest; the message's own fields belong to it.

    Warnings of a result: those of sample 0 in wire order (its series fields stand where the series does), then of the
    older samples by index, then EXTRA_BYTES. With ``count`` None samples follow while one more fits.
    """

    leaves: tuple[SeriesLeaf, ...]
    count: int | str | None
    """Fixed, the name of a Control, or None: to the end (then a sample has at least 8 bits without a delta)."""
    newest_first: bool
    """The order on the wire."""
    step: int | Step
    """Milliseconds, or where they are read from; 0: not known, and samples but the newest have no time."""
    base: str | None
    """A Control of UTC seconds since 1970: when the newest was measured; None: when the frame was received."""


class Entry(msgspec.Struct, frozen=True):
    """What follows a key. Whole bytes."""

    key: int
    items: tuple[Item, ...]
    time: str | None = None
    """A Control of these items, UTC seconds since 1970: they are a sample of their own, measured then."""


class Tlv(msgspec.Struct, frozen=True, tag=True):
    """Entries up to the end of the payload less ``tail_bytes``, each with its key; starts on a byte.

    A later entry overwrites a value of the same name. What runs into the tail, a value that is passed over included,
    is too short a payload. An encoder leaves out an entry all of whose given names an earlier one has sent.
    """

    key_bytes: int
    """1 or 2, big-endian; a channel and a type are one key of two bytes."""
    channel: bool
    """A byte with a free channel number stands before each key: leaves have CHANNEL in their names."""
    length: bool
    """A byte with the length of the value follows each key; an entry whose length differs from its items is unknown."""
    entries: tuple[Entry, ...]
    unknown: Literal["stop", "skip", "raw"]
    """A key in no entry: stop = the rest is not decoded; skip = its length is known (``length`` or ``sizes``) and it
    is passed over, else stop; raw = the rest, without the tail, stands in ``data["raw"]`` as hex. Each with a
    warning of the frame, not of a sample."""
    sizes: tuple[tuple[int, int], ...]
    """Keys that are in no entry and the bytes that follow them."""
    tail_bytes: int = 0
    """Bytes after the last entry that are not looked at (a CRC below LoRaWAN's MIC)."""


Item = Number | Choice | Opaque | Control | Constant | Reserved | Word | Lookahead | Switch | Repeat | Samples | Tlv


class Message(msgspec.Struct, frozen=True):
    """One payload layout. After the last item zeros up to a whole byte."""

    name: str
    """Of a command; ``data["command"]``. Empty: there is only one (or it is an uplink)."""
    title: str
    items: tuple[Item, ...]
    extra: Literal["error", "ignore"] = "error"
    """Bytes after the end are an error, or passed over (a vendor appends fields)."""
    version: int | None = None
    """The code of the version bits, which are then the first item, a Constant."""


class Port(msgspec.Struct, frozen=True):
    """The messages of one direction and port; several are told apart by their first item, a Constant."""

    direction: Literal["up", "down"]
    f_ports: tuple[int, ...]
    """Empty: any port. The first is the one an encoder sends on, 1 where any will do."""
    messages: tuple[Message, ...]
    """Of several versions the newest comes first."""
    included: str = ""
    """The codec that these messages come from; empty: the device's own schema."""

    @property
    def selector(self) -> Constant | None:
        """The first item of the first message if messages are told apart by it, else None."""
        first = self.messages[0].items[0]
        is_selector = len(self.messages) > 1 or self.messages[0].version is not None
        return first if is_selector and isinstance(first, Constant) else None


class Example(msgspec.Struct, frozen=True):
    """A payload and what it says, as the schema's author knows it."""

    direction: Literal["up", "down"]
    f_port: int
    payload: bytes
    data: dict[str, Any]
    warnings: tuple[str, ...] = ()
    title: str = ""


class Device(msgspec.Struct, frozen=True):
    """One sensor type: all of what its schema says."""

    name: str
    """``vendor/device``."""
    title: str
    description: str
    ports: tuple[Port, ...]
    examples: tuple[Example, ...] = ()
    source: str = ""
    """Document from which the format was taken."""
    kind: str = ""
    """Class of devices: water_level, soil, weather, parking, air_quality, people_counting, climate ..."""
    includes: tuple[str, ...] = ()
    """Codecs whose messages the device sends and takes too; a registry adds their ports."""

    def own(self) -> Device:
        """Return the device without what it includes: what a module of its firmware is made from."""
        return msgspec.structs.replace(self, ports=tuple(port for port in self.ports if not port.included))

    def uplinks(self) -> Iterator[tuple[Port, Message]]:
        """Yield every message that the device sends."""
        return ((port, message) for port in self.ports if port.direction == "up" for message in port.messages)

    def downlinks(self) -> Iterator[tuple[Port, Message]]:
        """Yield every message that the device takes."""
        return ((port, message) for port in self.ports if port.direction == "down" for message in port.messages)


def _shifts(bits: int, parts: tuple[Leaf, ...]) -> tuple[int, ...]:
    right, shifts = bits, []
    for leaf in parts:
        right -= leaf.bits
        shifts.append(right)
    return tuple(shifts)
