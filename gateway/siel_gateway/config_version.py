"""What siel.toml may name and this version does not do yet: accepted as names, told as faults, never ignored."""

from __future__ import annotations

from typing import Final, NamedTuple


class Later(NamedTuple):
    """Values of a key that a later version will do, and what there is now."""

    values: tuple[str, ...]
    instead: tuple[str, ...]


LATER_KINDS: Final[dict[str, tuple[str, ...]]] = {
    "upstream": ("basics-station", "chirpstack-mqtt"),
    "source": ("chirpstack-app", "tts-app"),
    "sink": ("sensorthings", "csv"),
}
LATER_KEYS: Final = frozenset({("upstream", "filter"), ("sink", "policy"), ("device", "policy")})
LATER_VALUES: Final[dict[tuple[str, str], Later]] = {
    ("upstream", "replay"): Later(("on-reconnect",), ("never",)),
    ("sink", "format"): Later(("senml-json", "senml-cbor"), ("json",)),
    ("device", "home"): Later(("state",), ("edge",)),
    ("device", "activation"): Later(("abp",), ("otaa",)),
    ("device", "class"): Later(("B", "C"), ("A",)),
    ("device", "mac_version"): Later(("1.1.0",), ("1.0.2", "1.0.3", "1.0.4")),
}
