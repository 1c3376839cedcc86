"""What a message asks of the node: its arguments, and for what steers it the codes among which they decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import TYPE_CHECKING, Final

from siel_codecs.schema.below import leaves, names
from siel_codecs.schema.model import Absent, Choice, Control, Number, Opaque, Repeat, Samples, Switch, Tlv, Word
from siel_codecs.schema.to_micropython.numbers import CannotEmitError, argument, node_step
from siel_codecs.schema.to_micropython.text import SMALL_INT_BITS

if TYPE_CHECKING:
    from siel_codecs.schema.model import Item, Message

_OWN_WORDS: Final = frozenset(["len", "ValueError", "FAULT", "SIZE", "F_PORT"])
"""What generated functions call by name; an argument must not hide it."""


@dataclass
class Argument:
    """One value that the node gives, or gets from a command."""

    name: str
    leaves: list[Number | Choice] = field(default_factory=list)
    is_list: bool = False

    def has(self, absent: Absent) -> bool:
        """Tell whether a leaf has a code for it."""
        return any(leaf.special(absent) is not None for leaf in self.leaves)


@dataclass
class Option:
    """A code of a control and the names of the data that are then in the payload."""

    code: int
    names: frozenset[str]


class Plan:
    """The arguments of one message and the options of what steers it.

    Raises:
        CannotEmitError: The message holds what this target does not have.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        self.leaf_of: dict[str, Number | Choice | Control] = {}
        for leaf in leaves(message.items):
            if isinstance(leaf, Number | Choice | Control):
                self.leaf_of.setdefault(leaf.name, leaf)
        self.listed: set[str] = set()
        self.steering: set[str] = set()
        """Names of what a group hangs on."""
        for item in walk(message.items):
            self._note(item)
        self.arguments = self._arguments()
        taken = {each.name for each in self.arguments.values()} | set(self.leaf_of) | _OWN_WORDS
        self._taken = {name for name in taken if not name.startswith("_")} | {"buf"}
        self.locals = {name: self._local(name) for name in (*self.arguments, *self.leaf_of)}

    def _note(self, item: Item) -> None:
        if isinstance(item, Tlv):
            raise CannotEmitError(self.message.name or "tlv", "entries that name themselves are not for a node")
        if isinstance(item, Opaque):
            raise CannotEmitError(item.name, "bytes in hex are not for a node")
        if isinstance(item, Switch):
            self.steering.add(item.control)
        if isinstance(item, Repeat | Samples):
            self.listed |= {leaf.name for leaf in leaves((item,)) if isinstance(leaf, Number | Choice)}
        if isinstance(item, Samples):
            if item.base is not None:
                raise CannotEmitError(item.base, "a node has no absolute time")
            for each in item.leaves:
                if each.delta_bits and (not isinstance(each.leaf, Number) or each.delta_bits > SMALL_INT_BITS):
                    raise CannotEmitError(getattr(each.leaf, "name", "delta"), "its differences cannot be coded")
        if isinstance(item, Control | Choice) and item.bits > SMALL_INT_BITS:
            raise CannotEmitError(item.name, f"{item.bits} bits; a small integer holds {SMALL_INT_BITS}")

    def _arguments(self) -> dict[str, Argument]:
        # By the name of the data, in wire order
        found: dict[str, Argument] = {}
        for leaf in leaves(self.message.items):
            if not isinstance(leaf, Number | Choice) or leaf.name.startswith("_"):
                continue
            known = found.setdefault(leaf.name, Argument(argument(leaf), is_list=leaf.name in self.listed))
            if known.leaves and _meaning(known.leaves[0]) != _meaning(leaf):
                raise CannotEmitError(leaf.name, "it has several meanings in one message: give each the same node")
            known.leaves.append(leaf)
        owners: dict[str, str] = {}
        for name, each in found.items():
            if owners.setdefault(each.name, name) != name:
                raise CannotEmitError(name, f"{owners[each.name]} has the same argument {each.name}")
        return found

    def _local(self, name: str) -> str:
        # A control keeps its underscore, so it meets no argument
        if name not in self.arguments:
            return name
        wanted = self.arguments[name].name
        return self.fresh(wanted) if iskeyword(wanted) or wanted in _OWN_WORDS or wanted == "buf" else wanted

    def fresh(self, name: str) -> str:
        """Return a name for a variable that is none of the message's."""
        while name in self._taken or iskeyword(name):
            name += "_"
        self._taken.add(name)
        return name


class Steered:
    """What one Control or Choice steers among the items after it.

    Attributes:
        switches: The groups, in wire order.
        lists: The lists and series whose length it says.
        options: Its codes that bring different data, the first of each, in the order in which they are preferred.
        possible: The codes that an encoder gives it; empty where they are any number.

    Raises:
        CannotEmitError: Its groups allow no code.
    """

    def __init__(self, leaf: Control | Choice, after: tuple[Item, ...]) -> None:
        found = list(walk(after))
        self.name = leaf.name
        self.switches = [item for item in found if isinstance(item, Switch) and item.control == leaf.name]
        self.lists = [item for item in found if isinstance(item, Repeat | Samples) and item.count == leaf.name]
        self.options = self._options()
        if self.switches and not self.options:
            raise CannotEmitError(leaf.name, "no code of it is allowed by every group that it steers")
        if isinstance(leaf, Choice):
            sent = [leaf.special(absent) for absent in (Absent.NOT_AVAILABLE, Absent.FAULT)]
            self.possible = {code for code, _ in leaf.meanings} | {code for code in sent if code is not None}
        elif self.lists:
            self.possible = set[int]()
        else:
            self.possible = {option.code for option in self.options}

    def _options(self) -> list[Option]:
        codes = dict.fromkeys(code for switch in self.switches for arm in switch.arms for code in arm.codes)
        found: dict[tuple[int | None, ...], Option] = {}
        for code in codes:
            arms = [_arm(switch, code) for switch in self.switches]
            if None in arms:
                continue
            items = [
                item
                for switch, index in zip(self.switches, arms, strict=True)
                if index is not None and index >= 0
                for item in switch.arms[index].items
            ]
            found.setdefault(tuple(arms), Option(code, frozenset(names(tuple(items)))))
        return list(found.values())

    def names(self) -> list[str]:
        """Return the names of all data that it brings."""
        return sorted({name for switch in self.switches for arm in switch.arms for name in names(arm.items)})

    def codes_with(self, name: str) -> set[int]:
        """Return the codes that bring this name."""
        arms = (arm for switch in self.switches for arm in switch.arms if name in names(arm.items))
        return {code for arm in arms for code in arm.codes}


def walk(items: tuple[Item, ...]) -> Iterator[Item]:
    """Yield every item in wire order, those inside of others after them."""
    for item in items:
        yield item
        if isinstance(item, Word):
            yield from item.leaves
        elif isinstance(item, Switch):
            for arm in item.arms:
                yield from walk(arm.items)
        elif isinstance(item, Repeat):
            yield item.leaf
        elif isinstance(item, Samples):
            yield from (each.leaf for each in item.leaves)


def _arm(switch: Switch, code: int) -> int | None:
    """Return the index of the arm; -1 for none, None where that is an error."""
    index = next((index for index, arm in enumerate(switch.arms) if code in arm.codes), -1)
    return None if index < 0 and switch.otherwise == "error" else index


def _meaning(leaf: Number | Choice) -> object:
    # What must be equal for one argument to serve two leaves
    if isinstance(leaf, Number):
        return argument(leaf), node_step(leaf)
    return tuple(sorted((code, str(value)) for code, value in leaf.meanings))
