"""From the codes of a message, as the construct object gives them, to the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from siel_codecs.codec import Decoded, Sample
from siel_codecs.schema import words
from siel_codecs.schema.below import leaves
from siel_codecs.schema.model import (
    CHANNEL,
    Absent,
    Choice,
    Control,
    Item,
    Leaf,
    Lookahead,
    Message,
    Number,
    Opaque,
    Repeat,
    Samples,
    Switch,
    Tlv,
    Word,
)

if TYPE_CHECKING:
    from siel_codecs.schema.to_construct.layout import Found


class Reading:
    """One measurement while it is put together."""

    def __init__(self, channel: int | None = None) -> None:
        """``channel`` goes into the names."""
        self.channel = channel
        self.data: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.time_ms: int | None = None

    def name(self, name: str) -> str:
        """Return the name with its channel."""
        return name if self.channel is None else name.replace(CHANNEL, str(self.channel))

    def leaf(self, leaf: Leaf, code: int) -> None:
        """Take what a leaf says."""
        if isinstance(leaf, Number | Choice | Opaque) and not leaf.name.startswith("_"):
            name = self.name(leaf.name)
            value = self.value(leaf, code, name)
            if value is not None:
                self.data[name] = value

    def value(self, leaf: Number | Choice | Opaque, code: int, name: str) -> Any:
        """Return the value of a code; None, and a warning, where it has none."""
        if isinstance(leaf, Opaque):
            return code.to_bytes(leaf.bits // 8, "big").hex()
        for special in leaf.specials:
            if special.first <= code <= special.last:
                self.warnings.append(words.ABSENT.format(name=name, why=special.absent.value))
                return None
        if isinstance(leaf, Choice):
            if code not in dict(leaf.meanings):
                self.warnings.append(words.UNKNOWN_CODE.format(name=name, code=code))
            return dict(leaf.meanings).get(code)
        if not leaf.code_min <= code <= leaf.code_max:
            self.warnings.append(words.ABSENT.format(name=name, why=Absent.OUT_OF_RANGE.value))
            return None
        return leaf.value(code)


class Reader:
    """Walks the items of one message beside their codes."""

    def __init__(self, units: dict[str, str], recv_ms: int | None) -> None:
        """``units`` of the message; ``recv_ms`` is when it was received."""
        self.newest = Reading()
        self.older: list[tuple[Reading, int | None]] = []
        self.timed: list[Reading] = []
        self.units = units
        self.base: int | None = None
        self.recv_ms = recv_ms
        self.codes: dict[str, int] = {}
        self.numbers: dict[str, Number] = {}

    def walk(self, items: tuple[Item, ...], codes: list[Any], reading: Reading) -> None:
        """Take what some items say into ``reading``."""
        for item, code in zip(items, codes, strict=True):
            if isinstance(item, Word):
                self.walk(item.leaves, code, reading)
            elif isinstance(item, Switch):
                arm = next((arm for arm in item.arms if self.codes[item.control] in arm.codes), None)
                if arm is not None:
                    self.walk(arm.items, code, reading)
            elif isinstance(item, Repeat):
                self.repeat(item, code, reading)
            elif isinstance(item, Samples):
                self.samples(item, code, reading)
            elif isinstance(item, Tlv):
                for found in code:
                    self.entry(item, found, reading)
            else:
                self.leaf(item, code, reading)

    def leaf(self, leaf: Leaf | Lookahead, code: int, reading: Reading) -> None:
        """Take what a leaf says, and keep what steers."""
        if isinstance(leaf, Number | Choice | Control | Lookahead):
            self.codes[leaf.name] = code
        if isinstance(leaf, Number):
            self.numbers[leaf.name] = leaf
            if leaf.unit is not None and CHANNEL in leaf.name:
                self.units[reading.name(leaf.name)] = leaf.unit.display
        if not isinstance(leaf, Lookahead):
            reading.leaf(leaf, code)

    def repeat(self, repeat: Repeat, codes: list[int], reading: Reading) -> None:
        """Take a list."""
        if not repeat.leaf.name.startswith("_"):
            name = reading.name(repeat.leaf.name)
            if isinstance(repeat.leaf, Number) and repeat.leaf.unit is not None and CHANNEL in repeat.leaf.name:
                self.units[name] = repeat.leaf.unit.display
            values = [reading.value(repeat.leaf, code, f"{name}[{index}]") for index, code in enumerate(codes)]
            reading.data[name] = values

    def samples(self, samples: Samples, codes: list[list[int]], reading: Reading) -> None:
        """Take a time series; its newest sample belongs to ``reading``."""
        if samples.base is not None:
            self.base = self.codes[samples.base] * 1000
        step = self.step(samples)
        for index, of_one in enumerate(codes if samples.newest_first else reversed(codes)):
            sample = reading if index == 0 else Reading()
            for series, code in zip(samples.leaves, of_one, strict=True):
                sample.leaf(series.leaf, code)
            if index:
                self.older.append((sample, index * step if step else None))

    def step(self, samples: Samples) -> int:
        """Return the milliseconds between two samples, 0 where they are not known."""
        if isinstance(samples.step, int):
            return samples.step
        code, number = self.codes[samples.step.name], self.numbers[samples.step.name]
        step = code * samples.step.ms_num + samples.step.ms_add
        return max(step, 0) if number.code_min <= code <= number.code_max else 0

    def entry(self, tlv: Tlv, found: Found, reading: Reading) -> None:
        """Take an entry."""
        if found.entry is None:
            text = words.UNKNOWN_KEY_SKIP if found.passed_over else words.UNKNOWN_KEY_STOP
            if tlv.unknown == "raw":
                text = words.UNKNOWN_KEY_RAW
                reading.data["raw"] = found.rest.hex()
            reading.warnings.append(text.format(key=f"0x{found.key:0{tlv.key_bytes * 2}x}", at=found.at))
            return
        into = Reading(found.channel if tlv.channel else None)
        if found.entry.time is None:
            into.data, into.warnings = reading.data, reading.warnings
        else:
            self.timed.append(into)
        self.walk(found.entry.items, found.codes, into)
        if found.entry.time is not None:
            into.time_ms = self.codes[found.entry.time] * 1000

    def result(self, extra: str | None) -> Decoded:
        """Return the result; ``extra`` is the warning about bytes that were left over."""
        newest, base = self.newest, self.recv_ms if self.base is None else self.base
        own_time = self.base is not None
        samples = []
        last = [] if extra is None else [extra]
        if newest.data or not self.timed:
            samples.append(Sample(newest.data, base, 0, newest.warnings + last, own_time))
        for sample, age in self.older:
            time_ms = None if base is None or age is None else base - age
            samples.append(Sample(sample.data, time_ms, age, sample.warnings, own_time))
        samples += [Sample(sample.data, sample.time_ms, None, sample.warnings, True) for sample in self.timed]
        warnings = list(newest.warnings)
        own = 1 if newest.data or not self.timed else 0
        for index, later in enumerate(samples[own:], own):
            warnings += [words.IN_SAMPLE.format(index=index, warning=warning) for warning in later.warnings]
        return Decoded(newest.data, self.units, warnings + last, [], samples)


def units_of(message: Message) -> dict[str, str]:
    """Return the display units of its numbers; those with a channel in their names come with the frame."""
    numbers = (leaf for leaf in leaves(message.items) if isinstance(leaf, Number))
    named = ((number.name, number.unit) for number in numbers if number.unit is not None)
    return {name: unit.display for name, unit in named if not name.startswith("_") and CHANNEL not in name}
