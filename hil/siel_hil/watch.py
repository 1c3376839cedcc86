"""From the medium's events to the feed that people see."""

from __future__ import annotations

from typing import Any

from siel_hil.feed import Feed
from siel_hil.medium import Medium
from siel_hil.medium_air import RECEIVED


def watch_medium(medium: Medium, feed: Feed) -> None:
    """Let ``feed`` follow what is on air."""
    world = medium.world

    def on_event(event: str, info: dict[str, Any]) -> None:
        name = info.get("station", "")
        if event == "transmit" and name in feed.rows:
            join = info["kind"] != "data"
            feed.sent(world.now_us, name, join=join, spreading_factor=info["spreading_factor"])
        elif event == "uplink" and name in feed.rows:
            if info["kind"] == "data":
                if info["verdict"] == RECEIVED:
                    feed.heard(name)
                else:
                    feed.lost(world.now_us, name, info["verdict"])
            elif info["verdict"] != RECEIVED:
                feed.event(world.now_us, f"{name}: a join-request was lost: {info['verdict']}")
        elif event == "downlink":
            fate = "heard" if info["verdict"] == RECEIVED else info["verdict"]
            feed.event(world.now_us, f"{name}: downlink to {info['node'] or 'nobody here'}: {fate}")
        elif event == "duty_cycle":
            feed.event(
                world.now_us, f"{info['transmitter']}: more airtime than the law allows in sub-band {info['sub_band']}"
            )

    medium.on_event.append(on_event)
