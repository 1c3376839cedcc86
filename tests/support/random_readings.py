"""Hypothesis strategies for readings that fit, or nearly fit, the messages of a device, and for damaged frames."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from siel_codecs.schema.model import (
    CHANNEL,
    Absent,
    Choice,
    Device,
    Item,
    Leaf,
    Message,
    Number,
    Opaque,
    Repeat,
    Samples,
    Switch,
    Tlv,
    Word,
)

REASONS = [Absent.NOT_AVAILABLE, Absent.UNDER_RANGE, Absent.OVER_RANGE, Absent.FAULT]


class Reader:
    """Values for the names of one message."""

    def __init__(self, draw: Any, sound: bool) -> None:
        self.draw, self.sound = draw, sound
        self.codes: dict[str, int] = {}
        self.data: dict[str, Any] = {}

    def number(self, number: Number) -> Any:
        low, high = number.code_min, number.code_max
        inside = st.integers(low, high) | st.sampled_from([low, high])
        values: Any = inside.map(number.value)
        missing = number.special(Absent.NOT_AVAILABLE) is not None
        if missing:
            values |= st.none()
        words = [reason.name.lower() for reason in REASONS if number.special(reason) is not None]
        if words:
            values |= st.sampled_from(words)
        if not self.sound:
            near = st.sampled_from([low - 3, low - 1, high + 1, high + 40]).map(number.value)
            between = inside.map(lambda code: (2 * code * number.num + number.num + 2 * number.add) / (2 * number.den))
            finer = st.tuples(inside, st.integers(-999, 999)).map(
                lambda of: round(float(number.value(of[0])) + of[1] / 1000 * number.num / number.den, 4)
            )
            far = st.sampled_from([-(10**12), 10**12, 1e300, -1e300, 0, 0.5, -0.5])
            odd = st.sampled_from([None, "fault", "under_range", "", True, float("nan"), float("inf"), [1], "1"])
            # Most readings fit in most of their values: one that is refused stops an encoder.
            values = st.one_of(values, values, values, values, near, between, finer, far)
            if self.draw(st.integers(0, 19)) == 0:
                values = odd
        return self.draw(values)

    def choice(self, choice: Choice) -> Any:
        code, value = self.draw(st.sampled_from(choice.meanings))
        self.codes[choice.name] = code
        if not self.sound and self.draw(st.integers(0, 19)) == 0:
            value = self.draw(st.sampled_from([None, "", "nothing", "not_available", 0, 1, True, [], {}]))
        return value

    def leaf(self, leaf: Leaf) -> Any:
        if isinstance(leaf, Number):
            return self.number(leaf)
        if isinstance(leaf, Choice):
            return self.choice(leaf)
        assert isinstance(leaf, Opaque)
        found = self.draw(st.binary(min_size=leaf.bits // 8, max_size=leaf.bits // 8)).hex()
        if not self.sound and self.draw(st.integers(0, 19)) == 0:
            return self.draw(st.sampled_from([None, "", found[1:], "g" + found[1:], 5, found.upper()]))
        return found

    def items(self, items: tuple[Item, ...], into: dict[str, Any], channel: int = 0) -> None:
        for item in items:
            if isinstance(item, Word):
                self.items(item.leaves, into, channel)
            elif isinstance(item, Switch):
                self.switch(item, into, channel)
            elif isinstance(item, Repeat):
                most = item.count if isinstance(item.count, int) else self.draw(st.integers(0, 3))
                if not self.sound and self.draw(st.integers(0, 19)) == 0:
                    most = self.draw(st.sampled_from([0, 1, 2, 20]))
                into[item.leaf.name.replace(CHANNEL, str(channel))] = [self.leaf(item.leaf) for _ in range(most)]
            elif isinstance(item, Samples):
                self.samples(item)
            elif isinstance(item, Tlv):
                self.tlv(item)
            elif isinstance(item, Number | Choice | Opaque):
                into[item.name.replace(CHANNEL, str(channel))] = self.leaf(item)

    def switch(self, switch: Switch, into: dict[str, Any], channel: int) -> None:
        if switch.control not in self.codes:
            arm = self.draw(st.sampled_from(switch.arms))
            self.codes[switch.control] = arm.codes[0]
        for arm in switch.arms:
            wild = not self.sound and self.draw(st.integers(0, 39)) == 0
            if self.codes[switch.control] in arm.codes or wild:
                self.items(arm.items, into, channel)

    def samples(self, samples: Samples) -> None:
        count = samples.count if isinstance(samples.count, int) else self.draw(st.integers(0, 4))
        rows: list[dict[str, Any]] = []
        for _ in range(count):
            row: dict[str, Any] = {}
            self.items(tuple(each.leaf for each in samples.leaves), row)
            if rows and self.draw(st.booleans()):
                row = dict(rows[-1])  # no difference at all
            rows.append(row)
        if len(rows) == 1 and self.draw(st.booleans()):
            self.data.update(rows[0])
        else:
            self.data["samples"] = rows
        if samples.base is not None:
            self.data["time"] = self.draw(st.sampled_from([86_400_000, "2026-01-01T00:00:00Z", 16_000_000_999]))
            if not self.sound and self.draw(st.integers(0, 9)) == 0:
                self.data["time"] = self.draw(st.sampled_from([None, -1, 10**20, "now", 1.5, "2026-01-01T00:00:00"]))

    def tlv(self, tlv: Tlv) -> None:
        timed = [entry for entry in tlv.entries if entry.time is not None]
        for entry in tlv.entries:
            if entry.time is None:
                for channel in self.draw(st.lists(st.integers(0, 3), unique=True, max_size=2 if tlv.channel else 1)):
                    self.items(entry.items, self.data, channel)
        rows: list[dict[str, Any]] = []
        for entry in self.draw(st.lists(st.sampled_from(timed), max_size=3)) if timed else ():
            row: dict[str, Any] = {"time": self.draw(st.sampled_from(["2026-01-01T00:00:00Z", 86_400_000]))}
            self.items(entry.items, row, self.draw(st.integers(0, 255)))
            rows.append(row)
        if rows:
            self.data["samples"] = rows


@st.composite
def readings(draw: Any, device: Device, message: Message, *, sound: bool = False) -> dict[str, Any]:
    """Draw the data of one message: values inside, at and outside their ranges, missing, by their special words.

    Args:
        draw: Given by hypothesis.
        device: Of which the message is; a command has its name in the data.
        message: What the names are of.
        sound: Only what an encoder must take: in range, and missing only where there is a code for it.
    """
    reader = Reader(draw, sound)
    if message.name and any(each is message for _, each in device.downlinks()):
        reader.data["command"] = message.name
    reader.items(message.items, reader.data)
    if not sound:
        odd = draw(st.integers(0, 19))
        if odd == 0:
            reader.data["nothing"] = 1
        elif odd == 1 and reader.data:
            del reader.data[draw(st.sampled_from(sorted(reader.data)))]
    return reader.data


@st.composite
def payloads(draw: Any, frames: list[bytes]) -> bytes:
    """Draw noise, or one of some sound frames: as it is, cut, with more behind it, or with other bytes in it."""
    least = draw(st.sampled_from([0, 0, 8, 24, 60]))
    noise: bytes = draw(st.binary(min_size=least, max_size=least + draw(st.sampled_from([4, 16, 195]))))
    if not frames:
        return noise
    frame = bytearray(draw(st.sampled_from(frames)))
    how = draw(st.sampled_from(["noise", "sound", "cut", "more", "other", "head"]))
    if how == "cut":
        frame = frame[: draw(st.integers(0, len(frame)))]
    elif how == "more":
        frame += noise[:40]
    elif how == "head":
        frame = frame[: draw(st.integers(0, 4))] + noise
    elif how == "other":
        for place in draw(st.lists(st.integers(0, max(len(frame) - 1, 0)), max_size=3)):
            if frame:
                frame[place] = draw(st.integers(0, 255))
    return noise if how == "noise" else bytes(frame)
