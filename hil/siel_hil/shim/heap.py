# What the node's MAC takes of the heap, in the words of whichever interpreter runs this: one JSON object on stdout.
# Arguments: the folder of the compiled modules, the modules of the MAC.
import sys

# Not beside the shim, whose modules would come first
sys.path[:] = [sys.argv[1]]
import gc  # noqa: E402 - see above
import json  # noqa: E402

_UPLINKS = 70
_INTERVAL_MS = 900000


def _used():
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


__import__("siel_node._compat")
before = _used()
for name in sys.argv[2:]:
    __import__("siel_node." + name)
modules = _used() - before

from siel_node import identity, mac, state  # noqa: E402 - what this costs is not the MAC's

who = identity.Identity(
    {
        "dev_eui": "0004a30b001c0530",
        "join_eui": "70b3d57ed0000001",
        "app_key": "2b7e151628aed2a6abf7158809cf4f3c",
        "join_dr": 3,
        "interval_s": 900,
        "codec": "siel/climate",
    }
)
payload = bytearray(12)
before = _used()
session = state.State(who.tag)
session.joined = True
session.nwk_s_key = bytes(range(16))
session.app_s_key = bytes(range(16, 32))
session.dr = 3
device = mac.Mac(who, session, lambda n: 0)
objects = _used() - before


def uplink(now_ms):
    # One uplink that nothing answers; how often something was to be stored on the way.
    stores = 0
    device.send(10, payload)
    while True:
        action = device.step(now_ms)
        if action == mac.PERSIST:
            session.pack()
            session.dirty = False
            stores += 1
        elif action == mac.TRANSMIT:
            if device.duty_cycle.reserve(device.tx_frequency_hz, device.tx_airtime_us):
                device.duty_cycle.pack(now_ms // 1000)
                stores += 1
            device.sent(now_ms)
        elif action == mac.LISTEN:
            device.silent(now_ms)
        elif action == mac.WAIT:
            now_ms = device.wake_ms
        else:
            return stores


plain = storing = stores = 0
gc.collect()
gc.disable()
for n in range(_UPLINKS):
    now_ms = n * _INTERVAL_MS
    before = gc.mem_alloc()
    stored = uplink(now_ms)
    garbage = gc.mem_alloc() - before
    stores += stored
    if stored:
        storing = max(storing, garbage)
    elif n:
        plain = max(plain, garbage)
    gc.collect()
print(
    json.dumps(
        {
            "resident_heap_bytes": modules,
            "session_heap_bytes": objects,
            "garbage_per_uplink_bytes": plain,
            "garbage_per_storing_uplink_bytes": storing,
            "uplinks": _UPLINKS,
            "stores": stores,
        }
    )
)
