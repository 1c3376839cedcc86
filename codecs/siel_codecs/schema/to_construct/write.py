"""From values by name to the codes that the construct object builds a payload from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from siel_codecs.errors import PayloadError
from siel_codecs.schema import words
from siel_codecs.schema.below import leaves, names
from siel_codecs.schema.model import (
    CHANNEL,
    MAX_PAYLOAD_BYTES,
    MAX_SAMPLES,
    Absent,
    Choice,
    Constant,
    Control,
    Entry,
    Item,
    Leaf,
    Lookahead,
    Message,
    Number,
    Opaque,
    Repeat,
    Reserved,
    Samples,
    Switch,
    Tlv,
    Word,
)
from siel_codecs.schema.to_construct.layout import Found
from siel_codecs.schema.to_construct.names import (
    arm_names,
    channel_of,
    inside,
    names_with,
    steered,
    unknown_arm,
)
from siel_codecs.schema.to_construct.values import RefusedValueError, code_of, refuse, seconds

OF_A_SAMPLE: Final = {"time", "age_s"}

Values = Mapping[str, Any]


class Writer:
    """Walks the items of one message and says their codes."""

    def __init__(self, codec: str, message: Message, data: Values, command: bool) -> None:
        """``codec`` names it in errors; of a ``command`` the data may say its name."""
        self.codec, self.message, self.data = codec, message, data
        self.names = names(message.items)
        every = list(inside(message.items))
        self.also = {"command"} if command and message.name else set()
        if any(isinstance(item, Samples) or (isinstance(item, Entry) and item.time) for item in every):
            self.also.add("samples")
        if any(isinstance(item, Samples) and item.base for item in every):
            self.also.add("time")
        self.ahead: dict[str, int] = {}
        self.sent: set[str] = set()
        self.channel = 0
        self.clock: tuple[str | None, Any, str] = (None, None, "")
        self.codes: dict[str, int] = {}

    def write(self) -> list[Any]:
        """Return the codes of all items.

        Raises:
            PayloadError: A name or a value that the message does not have.
        """
        try:
            for name in self.data:
                if not self.known(name):
                    refuse(words.NO_SUCH_VALUE, str(name), known=", ".join(self.names))
            return self.items(self.message.items, self.data)
        except RefusedValueError as error:
            field = None if error.field is None else error.field.replace(CHANNEL, str(self.channel))
            raise PayloadError(self.codec, str(error), field=field) from None

    def known(self, name: object) -> bool:
        """Return whether the message has a place for this name."""
        return isinstance(name, str) and (name in self.also or self.template(name) is not None)

    def template(self, name: str) -> str | None:
        """Return the name as the schema has it, with CHANNEL in it; None where it has none."""
        return next((each for each in self.names if channel_of(each, name) is not None), None)

    def given(self, values: Values) -> list[str]:
        """Return the names of the schema that have a value."""
        own = {"samples", *self.names}
        found = (name if name in own else self.template(name) for name, value in values.items() if value is not None)
        return list(dict.fromkeys(name for name in found if name is not None))

    def items(self, items: tuple[Item, ...], values: Values, prefix: str = "") -> list[Any]:
        """Return the codes of items that follow each other."""
        return [self.item(item, items[index + 1 :], values, prefix) for index, item in enumerate(items)]

    def item(self, item: Item, after: tuple[Item, ...], values: Values, prefix: str) -> Any:
        """Return the code, or the codes, of one item; ``after`` it come those that it may steer."""
        if isinstance(item, Word):
            return [self.leaf(leaf, after, values, prefix) for leaf in item.leaves]
        if isinstance(item, Lookahead):
            later = next(leaf for leaf in leaves(self.message.items) if getattr(leaf, "name", None) == item.name)
            self.ahead[item.name] = self.leaf(later, after, values, prefix)
            return self.ahead[item.name]
        if isinstance(item, Switch):
            arm = next((arm for arm in item.arms if self.codes[item.control] in arm.codes), None)
            return None if arm is None else self.items(arm.items, values, prefix)
        if isinstance(item, Repeat):
            return self.repeat(item, values, prefix)
        if isinstance(item, Samples):
            return self.samples(item)
        return self.tlv(item) if isinstance(item, Tlv) else self.leaf(item, after, values, prefix)

    def leaf(self, leaf: Leaf, after: tuple[Item, ...], values: Values, prefix: str) -> int:
        """Return the code of a leaf."""
        if isinstance(leaf, Reserved):
            return 0
        if isinstance(leaf, Constant):
            return leaf.code
        if leaf.name in self.ahead:
            return self.ahead.pop(leaf.name)
        clock, moment, field = self.clock
        if isinstance(leaf, Control) and leaf.name == clock:
            code = seconds(moment, leaf.bits, field)
        elif isinstance(leaf, Control) or leaf.name.startswith("_"):
            code = self.derived(leaf, after, values)
        else:
            code = code_of(leaf, values.get(leaf.name), prefix + leaf.name)
            switches = [each for each in steered(leaf.name, after) if isinstance(each, Switch)]
            self.check_arms(code, switches, values)
        self.codes[leaf.name] = code
        return code

    def derived(self, leaf: Control | Number | Choice | Opaque, after: tuple[Item, ...], values: Values) -> int:
        """Return the code of what steers and is no data."""
        if isinstance(leaf, Number):
            missing = leaf.special(Absent.NOT_AVAILABLE)
            return min(max(0, leaf.code_min), leaf.code_max) if missing is None else missing
        if isinstance(leaf, Opaque):
            return 0
        users = list(steered(leaf.name, after))
        switches = [user for user in users if isinstance(user, Switch)]
        for user in users:
            if isinstance(user, Samples) and user.base == leaf.name:
                return self.base(user, leaf)
        for user in users:
            if not isinstance(user, Switch):
                code = self.count(user, values, leaf)
                self.check_arms(code, switches, values)
                return code
        if switches:
            return self.pick(switches, values)
        return 0 if isinstance(leaf, Control) else leaf.meanings[0][0]

    def pick(self, switches: list[Switch], values: Values) -> int:
        """Return the first code whose arms hold all names that are given."""
        every = [code for switch in switches for arm in switch.arms for code in arm.codes]
        codes = [code for code in dict.fromkeys(every) if not unknown_arm(code, switches)]
        all_names = {name for code in codes for name in names_with(code, switches)}
        given = [name for name in self.given(values) if name in all_names]
        if not given:
            return next((code for code in codes if not names_with(code, switches)), codes[0])
        for code in codes:
            if names_with(code, switches).issuperset(given):
                return code
        code = next((code for code in codes if given[0] in names_with(code, switches)), codes[0])
        self.check_arms(code, switches, values)
        raise AssertionError

    def check_arms(self, code: int, switches: list[Switch], values: Values) -> None:
        """Refuse a code that has no arm, and values of other arms than its own."""
        if switch := unknown_arm(code, switches):
            known = sorted(each for arm in switch.arms for each in arm.codes)
            control = switch.control.removeprefix("_")
            known_text = ", ".join(map(str, known))
            refuse(words.UNKNOWN_ARM, None, control=control, code=code, known=known_text)
        own = names_with(code, switches)
        elsewhere = {name for switch in switches for arm in switch.arms for name in arm_names(arm.items)} - own
        for name in self.given(values):
            if name in elsewhere:
                known_text = ", ".join(each for each in self.names if each in own)
                refuse(words.NO_SUCH_VALUE, name, known=known_text)

    def count(self, user: Repeat | Samples, values: Values, control: Control | Choice) -> int:
        """Return the length of a list; None where there is no list."""
        most = (1 << control.bits) - 1
        if isinstance(user, Repeat):
            return len(self.listed(values.get(user.leaf.name), user.leaf.name, most))
        return len(self.series(user, most) or ())

    def listed(self, value: Any, field: str, most: int, exactly: int | None = None) -> list[Any]:
        """Return a list of so many elements; where it is missing one of None, or of none."""
        if value is None:
            return [None] * (exactly or 0)
        wrong = not isinstance(value, list | tuple)
        if wrong or (len(value) > most if exactly is None else len(value) != exactly):
            refuse(words.NOT_A_LIST, field, count=f"0 to {most}" if exactly is None else exactly)
        return list(value)

    def repeat(self, repeat: Repeat, values: Values, prefix: str) -> list[int]:
        """Return the codes of a list."""
        name = repeat.leaf.name
        exactly = self.codes[repeat.count] if isinstance(repeat.count, str) else repeat.count
        elements = self.listed(values.get(name), prefix + name, MAX_PAYLOAD_BYTES * 8 // repeat.leaf.bits, exactly)
        return [code_of(repeat.leaf, value, f"{prefix}{name}[{index}]") for index, value in enumerate(elements)]

    def series(self, samples: Samples, most: int, exactly: int | None = None) -> list[Values] | None:
        """Return the values of each sample, newest first; None where none are given."""
        series = names(tuple(each.leaf for each in samples.leaves))
        found = self.data.get("samples")
        if found is None:
            if any(self.data.get(name) is not None for name in series):
                return [self.data]
            return None
        samples_found = self.listed(found, "samples", most, exactly)
        for index, sample in enumerate(samples_found):
            self.check_sample(sample, index)
        return samples_found

    def check_sample(self, sample: Any, index: int) -> None:
        """Refuse what is no sample of this message."""
        if not isinstance(sample, Mapping):
            refuse(words.NOT_A_SAMPLE, f"samples[{index}]")
        for name in sample:
            if name not in OF_A_SAMPLE and self.template(name) is None:
                refuse(words.NO_SUCH_VALUE, f"samples[{index}].{name}", known=", ".join(self.names))

    def samples(self, samples: Samples) -> list[list[int]]:
        """Return the codes of a time series in wire order."""
        exactly = self.codes[samples.count] if isinstance(samples.count, str) else samples.count
        bits = sum(each.delta_bits or each.leaf.bits for each in samples.leaves)
        most = min(MAX_PAYLOAD_BYTES * 8 // bits, MAX_SAMPLES)
        found = self.series(samples, most, exactly)
        if found is None:
            found = [{}] * (exactly or 0)
        elif exactly is not None and len(found) != exactly:
            refuse(words.NOT_A_LIST, "samples", count=exactly)
        by_list = self.data.get("samples") is not None
        codes = []
        for index, sample in enumerate(found):
            prefix = f"samples[{index}]." if by_list else ""
            codes.append([self.leaf(each.leaf, (), sample, prefix) for each in samples.leaves])
        return codes if samples.newest_first else codes[::-1]

    def base(self, samples: Samples, control: Control | Number | Choice | Opaque) -> int:
        """Return the seconds of the newest sample."""
        moment = self.data.get("time")
        if moment is None:
            found = self.series(samples, MAX_SAMPLES)
            moment = found[0].get("time") if found else None
        return seconds(moment, control.bits, "time")

    def tlv(self, tlv: Tlv) -> list[Found]:
        """Return the entries that hold what is given, then those of the samples."""
        found = []
        for entry in tlv.entries:
            if entry.time is None:
                for channel in self.channels(entry, self.data):
                    values = {name: self.data.get(name.replace(CHANNEL, str(channel))) for name in names(entry.items)}
                    given = {name.replace(CHANNEL, str(channel)) for name, each in values.items() if each is not None}
                    if not given <= self.sent:
                        self.sent |= given
                        found.append(self.entry(entry, channel, values, ""))
        timed = [entry for entry in tlv.entries if entry.time is not None]
        most = MAX_PAYLOAD_BYTES
        for index, sample in enumerate(self.listed(self.data.get("samples"), "samples", most) if timed else ()):
            self.check_sample(sample, index)
            if "age_s" in sample:
                continue
            found.append(self.timed(timed, sample, index))
        return found

    def timed(self, timed: list[Entry], sample: Values, index: int) -> Found:
        """Return the entry of a sample that has a time of its own."""
        given = [name for name, value in sample.items() if value is not None and name not in OF_A_SAMPLE]
        for entry in timed:
            for channel in self.channels(entry, sample) or [0]:
                own = {name.replace(CHANNEL, str(channel)): name for name in names(entry.items)}
                if own.keys() >= set(given):
                    values = {name: sample.get(full) for full, name in own.items()} | {"time": sample.get("time")}
                    return self.entry(entry, channel, values, f"samples[{index}].")
        known = ", ".join(dict.fromkeys(name for entry in timed for name in names(entry.items)))
        return refuse(words.NO_SUCH_VALUE, f"samples[{index}].{given[0]}", known=known)

    def entry(self, entry: Entry, channel: int, values: Values, prefix: str) -> Found:
        """Return one entry."""
        self.channel = channel
        self.clock = (entry.time, values.get("time"), prefix + "time")
        codes = self.items(entry.items, values, prefix)
        self.clock = (None, None, "")
        return Found(entry, channel, codes, entry.key, 0, b"", False)

    def channels(self, entry: Entry, values: Values) -> list[int]:
        """Return the channels for which there are values of the entry; of one without channels 0."""
        found: set[int] = set()
        for name, value in values.items():
            of_name = (channel_of(each, name) for each in names(entry.items))
            found.update(channel for channel in of_name if channel is not None and value is not None)
        return sorted(found)
