"""Two layouts walked side by side: where the receiver's leaves the sender's, and the field at which it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from siel_codecs.schema import below, model
from siel_codecs.schema.evolution.codes import Break, Reading
from siel_codecs.schema.evolution.run import Known, Of, Sender, Source, Token, compare, sent_codes
from siel_codecs.schema.evolution.side import (
    Sent,
    Side,
    Sources,
    arm_codes,
    arm_of,
    called,
    changed,
    first_name,
    kind_of,
    place_of,
    plain,
    same_step,
)
from siel_codecs.schema.model import Entry, Item, Lookahead, Message, Repeat, Samples, Switch, Tlv

_WHOLE_FIELD: Final = Reading()
_BYTE: Final = 8


def breaks(sent: Message, read: Message) -> list[Break]:
    """Return every reason why the frames of a message say something else to a decoder of another.

    A reason that stops the walk hides those behind it.

    Args:
        sent: As the sender of the frames means them.
        read: As their receiver does.
    """
    walk = _Walk(sent, read)
    found = list(walk.items(Side(sent.items), Side(read.items), {}, {}, 0, at_end=True))
    if sent.name != read.name:
        found.insert(0, Break("command", "renamed", f"is called {read.name or 'nothing'} now"))
    return list(dict.fromkeys(found))


def first_source(sent: Message, bits: int) -> Source:
    """Return what a receiver reads in the first ``bits`` bits of a message."""
    run, _ = Side(sent.items).run({}, {})
    length = sum(len(token.bits) for token in run)
    return Sender(run, length, -length % 8).read(tuple(range(bits)))


class _Walk:
    def __init__(self, sent: Message, read: Message) -> None:
        self._read = read
        self._names = set(below.names(read.items))
        self._leaves = {
            leaf.name: leaf for leaf in below.leaves(sent.items) if isinstance(leaf, model.Control | model.Choice)
        }
        self._ahead_sent: dict[str, Lookahead] = {}
        self._ahead_read: dict[str, Lookahead] = {}
        self._arms = arm_codes(sent.items)

    def items(
        self, sent: Side, read: Side, fields: Sent, sources: Sources, base: int | None, *, at_end: bool
    ) -> Iterator[Break]:
        """Compare what is left of both; ``base`` is the bit at which they are, None where frames differ in it."""
        while True:
            run, length = self._sent_run(sent, fields)
            ends = not sent.rest and at_end
            padding = (-(base + length) % 8 if base is not None else 0) if ends else 0
            sender = Sender(run, length, padding)
            found, reach = self._read_run(read, sender, sources)
            inside = [token for token in found if max(token.bits, default=0) < length + padding]
            yield from compare(sender, inside, self._names)
            beyond = [token for token in found if token not in inside]
            if beyond or reach != length:
                yield from self._uneven(
                    sent, read, run, beyond, length, reach, padding, exact=base is not None, at_end=ends
                )
                return
            one, other = sent.pop(), read.pop()
            if one is None and other is None:
                return
            stop = False
            for found_break in self._pair(one, other, sent, read, fields, sources, base, length, at_end=at_end):
                if found_break is None:
                    stop = True
                else:
                    yield found_break
            if stop:
                return
            size = None if one is None else below.static_bits((one,))
            base = base + length + size if base is not None and size is not None else None

    def _sent_run(self, sent: Side, fields: Sent) -> tuple[list[Token], int]:
        """Take the sender's fields; a group that its frames always or never have counts as its fields."""
        found: list[Token] = []
        at = 0
        while True:
            new, bits = sent.run({}, self._ahead_sent)
            found += [self._sound(token, at) for token in new]
            at += bits
            fields.update({token.name: token for token in found})
            if not sent.rest or not isinstance(sent.rest[0], Switch):
                return found, at
            arm = self._arm_of(sent.rest[0], self._codes(sent.rest[0].control), _WHOLE_FIELD)
            if arm is None:
                return found, at
            sent.rest[:1] = arm

    def _sound(self, token: Token, at: int) -> Token:
        """Return a field at its place, without codes that the sender's own groups refuse."""
        leaf = token.leaf
        if isinstance(leaf, model.Choice) and leaf.name in self._arms:
            known = self._arms[leaf.name]
            meanings = tuple(meaning for meaning in leaf.meanings if meaning[0] in known)
            specials = tuple(
                model.Special(code, code, special.absent)
                for special in leaf.specials
                for code in range(special.first, special.last + 1)
                if code in known
            )
            leaf = replace(leaf, meanings=meanings, specials=specials)
        return Token(leaf, token.name, tuple(bit + at for bit in token.bits))

    def _read_run(self, read: Side, sender: Sender, sources: Sources) -> tuple[list[Token], int]:
        """Take the receiver's fields; a group that these frames always or never have counts as its fields."""
        found: list[Token] = []
        at = 0
        while True:
            new, bits = read.run({}, self._ahead_read)
            for token in new:
                moved = Token(token.leaf, token.name, tuple(bit + at for bit in token.bits))
                found.append(moved)
                if isinstance(token.leaf, model.Control | model.Choice):
                    sources[token.name] = sender.read(moved.bits)
            at += bits
            if not read.rest or not isinstance(read.rest[0], Switch):
                return found, at
            arm = self._settled(read.rest[0], sources)
            if arm is None:
                return found, at
            read.rest[:1] = arm

    def _settled(self, switch: Switch, sources: Sources) -> tuple[Item, ...] | None:
        """Return what these frames have of a group of the receiver; None where that depends on the frame."""
        source = sources.get(switch.control)
        if isinstance(source, Known):
            return arm_of(switch, source.code)
        if isinstance(source, Of):
            return self._arm_of(switch, self._codes(source.token.name), source.by)
        if source is None:
            return self._arm_of(switch, self._codes(self._seen_ahead(switch.control)), _WHOLE_FIELD)
        return None

    def _seen_ahead(self, control: str) -> str:
        """Return the sender's control that both read ahead at the same place; empty where there is none."""
        read = self._ahead_read.get(control)
        return next((name for name, sent in self._ahead_sent.items() if read and place_of(sent) == place_of(read)), "")

    def _arm_of(self, switch: Switch, codes: list[int] | None, by: Reading) -> tuple[Item, ...] | None:
        """Return what all of the sender's codes bring, None where they bring different things."""
        arms = [arm_of(switch, code * by.factor + by.add) for code in codes or ()]
        return arms[0] if arms and all(arm == arms[0] for arm in arms) else None

    def _codes(self, name: str) -> list[int] | None:
        """Return the codes that the sender gives a control; None where they are too many."""
        leaf = self._leaves.get(name)
        if leaf is None:
            return None
        codes = sent_codes(leaf)
        known = self._arms.get(name)
        if known is None:
            return codes
        return sorted(known) if codes is None else [code for code in codes if code in known]

    def _uneven(
        self,
        sent: Side,
        read: Side,
        run: list[Token],
        beyond: list[Token],
        length: int,
        reach: int,
        padding: int,
        *,
        exact: bool,
        at_end: bool,
    ) -> Iterator[Break]:
        """Yield why both are not at the same bit any more."""
        if reach > length:
            if at_end:
                if beyond:
                    sure = exact or reach - length >= _BYTE  # less may fit into a padding that differs between frames
                    yield Break(called(beyond[0]), "length", "lies behind the end of these frames", certain=sure)
                elif read.rest:
                    yield from self._appended(read)
                return  # else it fits into the padding
            where = first_name(tuple(sent.rest)) or "what follows"
            yield Break(where, "moved", f"starts {_bits(reach - length)} later now")
        elif at_end and not read.rest:
            extra = [token for token in run if token.bits[-1] >= reach]
            if self._read.extra == "error" and (length + padding + 7) // 8 > (reach + 7) // 8:
                yield Break(called(extra[0]), "length", "lies behind the end of the frame now", certain=False)
        else:
            following = first_name(tuple(read.rest)) or first_name(tuple(sent.rest)) or "what follows"
            yield Break(following, "moved", f"starts {_bits(length - reach)} earlier now", certain=False)

    def _appended(self, read: Side) -> Iterator[Break]:
        item = read.rest[0]
        if isinstance(item, Tlv) and not item.tail_bytes and len(read.rest) == 1:
            return
        yield Break(
            first_name((item,)) or "what follows", "length", "is new behind the end of these frames", certain=False
        )

    def _pair(
        self,
        one: Item | None,
        other: Item | None,
        sent: Side,
        read: Side,
        fields: Sent,
        sources: Sources,
        base: int | None,
        length: int,
        *,
        at_end: bool,
    ) -> Iterator[Break | None]:
        """Compare two items whose size depends on the payload; a None at the end says that the walk stops here."""
        if one is None:
            read.rest.insert(0, other)  # type: ignore[arg-type]
            if at_end:
                yield from self._appended(read)
            else:
                yield Break(first_name((other,)) or "a group", "moved", "is new there")  # type: ignore[arg-type]
            yield None
        elif isinstance(one, Switch) and isinstance(other, Switch) and self._same_control(one, other, fields, sources):
            last = at_end and not sent.rest and not read.rest
            at = None if base is None else base + length
            yield from self._switch(one, other, fields, sources, at, at_end=last)
        elif isinstance(one, Repeat) and isinstance(other, Repeat) and not isinstance(other.count, int):
            yield from self._repeat(one, other, sources)
        elif isinstance(one, Samples) and isinstance(other, Samples):
            yield from self._samples(one, other, sources)
        elif isinstance(one, Tlv) and isinstance(other, Tlv):
            yield from self._tlv(one, other)
        elif isinstance(one, Switch) and not any(arm.items for arm in one.arms):
            read.rest.insert(0, other) if other is not None else None
        else:
            yield Break(first_name((one,)) or "what follows", kind_of(one, other), changed(one, other), certain=False)
            yield None

    def _same_control(self, one: Switch, other: Switch, fields: Sent, sources: Sources) -> bool:
        source = sources.get(other.control)
        if source is None:
            return self._seen_ahead(other.control) == one.control
        token = fields.get(one.control)
        return isinstance(source, Of) and token is source.token

    def _switch(
        self, one: Switch, other: Switch, fields: Sent, sources: Sources, base: int | None, *, at_end: bool
    ) -> Iterator[Break]:
        source = sources.get(other.control)
        by = source.by if isinstance(source, Of) else _WHOLE_FIELD
        done: set[tuple[int, int]] = set()
        for code in self._classes(one, other, by):
            arm, taken = arm_of(one, code), arm_of(other, code * by.factor + by.add)
            if arm is None or (id(arm), id(taken)) in done:
                continue
            done.add((id(arm), id(taken)))
            if taken is None:
                yield Break(plain(one.control), "group", f"code {code} is not known any more", code)
                continue
            inner = self.items(Side(arm), Side(taken), dict(fields), dict(sources), base, at_end=at_end)
            yield from inner

    def _classes(self, one: Switch, other: Switch, by: Reading) -> list[int]:
        """Return a code of the sender for every pair of arms that a frame can bring together."""
        sends = self._codes(one.control)
        codes = [code for arm in one.arms for code in arm.codes]
        for arm in other.arms:
            codes += [(code - by.add) // by.factor for code in arm.codes if (code - by.add) % by.factor == 0]
        if one.otherwise == "ignore":
            listed = set(codes)
            codes += next(([code] for code in range(len(listed) + 1) if code not in listed), [])
        if sends is None:
            leaf = self._leaves.get(one.control)
            return [code for code in dict.fromkeys(codes) if 0 <= code < 1 << (leaf.bits if leaf else 32)]
        allowed = set(sends)
        found = [code for code in dict.fromkeys(codes) if code in allowed]
        return found + [code for code in sends if code not in set(codes)][:1]

    def _count(self, one: Repeat | Samples, other: Repeat | Samples, sources: Sources) -> bool:
        if isinstance(one.count, str) and isinstance(other.count, str):
            source = sources.get(other.count)
            return isinstance(source, Of) and source.token.name == one.count and source.by == _WHOLE_FIELD
        return one.count == other.count

    def _repeat(self, one: Repeat, other: Repeat, sources: Sources) -> Iterator[Break | None]:
        if not self._count(one, other, sources):
            yield Break(one.leaf.name, "list", "its length is told in another way now", certain=False)
            yield None
            return
        yield from self._elements([one.leaf], [other.leaf])
        if one.leaf.bits != other.leaf.bits:
            yield None

    def _elements(self, sent: list[model.Element], read: list[model.Element]) -> Iterator[Break]:
        one, two = Side(tuple(sent)), Side(tuple(read))
        run, length = one.run({}, {})
        found, reach = two.run({}, {})
        yield from compare(Sender(run, length, 0), [token for token in found if max(token.bits) < length], self._names)
        if reach > length:
            name = next(called(token) for token in found if token.bits[-1] >= length)
            yield Break(name, "width", f"an element had {length} bits, has {reach}", certain=False)
        elif reach < length:
            name = next(called(token) for token in run if token.bits[-1] >= reach)
            yield Break(name, "width", f"an element had {length} bits, has {reach}", certain=False)

    def _samples(self, one: Samples, other: Samples, sources: Sources) -> Iterator[Break | None]:
        name = first_name((one,)) or "series"
        many = not isinstance(one.count, int) or one.count > 1
        reasons = []
        if not self._count(one, other, sources):
            reasons.append("the number of samples is told in another way now")
        if one.newest_first != other.newest_first and many:
            reasons.append("its samples stand in another order now")
        if many and not same_step(one.step, other.step):
            reasons.append("the time between its samples is another one now")
        base = sources.get(other.base) if other.base else None
        if (one.base is None) != (other.base is None) or (
            base and not (isinstance(base, Of) and base.token.name == one.base)
        ):
            reasons.append("the time of its newest sample comes from elsewhere now")
        if many and [each.delta_bits for each in one.leaves] != [each.delta_bits for each in other.leaves]:
            reasons.append("its differences have another width now")
        for reason in reasons:
            yield Break(name, "series", reason, certain=False)
        yield from self._elements([each.leaf for each in one.leaves], [each.leaf for each in other.leaves])
        if reasons or sum(each.leaf.bits for each in one.leaves) != sum(each.leaf.bits for each in other.leaves):
            yield None

    def _tlv(self, one: Tlv, other: Tlv) -> Iterator[Break | None]:
        if (one.key_bytes, one.channel, one.length) != (other.key_bytes, other.channel, other.length):
            yield Break("entries", "entry", "begin in another way now")
            yield None
            return
        if one.tail_bytes != other.tail_bytes:
            yield Break(
                "entries", "entry", f"had {one.tail_bytes} bytes behind them, have {other.tail_bytes}", certain=False
            )
        known = {entry.key: entry for entry in other.entries}
        for entry in one.entries:
            key = f"0x{entry.key:0{2 * one.key_bytes}x}"
            if entry.key not in known:
                where = first_name(entry.items) or f"type {key}"
                yield Break(where, "entry", f"its type {key} is not known any more")
            else:
                yield from self._entry(entry, known[entry.key])

    def _entry(self, one: Entry, other: Entry) -> Iterator[Break]:
        fields: Sent = {}
        sources: Sources = {}
        yield from self.items(Side(one.items), Side(other.items), fields, sources, 0, at_end=False)
        base = sources.get(other.time) if other.time else None
        same = base is None if one.time is None else isinstance(base, Of) and base.token.name == one.time
        if not same:
            yield Break(first_name(one.items) or "entry", "entry", "its time comes from elsewhere now", certain=False)


def _bits(count: int) -> str:
    return f"{count} bit{'' if count == 1 else 's'}"
