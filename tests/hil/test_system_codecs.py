"""A real node whose codec at the gateway becomes JavaScript while both run: the same readings, on the same clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

from siel_codecs import registry
from siel_codecs.schema.to_javascript import emit_javascript
from siel_gateway.records import Observation
from siel_hil.testbed import Testbed

OWN = '\n[[codec]]\nname = "vendor/level"\nkind = "js"\nfile = "level.js"\n'


def story_of(folder: Path) -> tuple[list[Observation], list[tuple[int, str]]]:
    """Run a node, turn its codec into JavaScript, kill the gateway and start it again; return what came of it."""
    with Testbed(folder) as testbed:
        testbed.node("water_level", interval_s=10)
        site = testbed.gateway("concentrator")

        async def story() -> None:
            await testbed.start()
            await testbed.until(lambda: len(testbed.observations) >= 2)
            config = site.folder / "siel.toml"
            (site.folder / "level.js").write_text(emit_javascript(registry.load("siel/water_level").device))
            config.write_text(config.read_text().replace("siel/water_level", "vendor/level") + OWN)
            site.inside.daemon.reload_codecs()
            await testbed.until(lambda: len(testbed.observations) >= 5)
            await site.inside.kill()
            await asyncio.sleep(1)
            await site.inside.start()
            await testbed.until(lambda: len(testbed.observations) >= 8)
            await testbed.drain()

        testbed.run(story)
        return testbed.observations, testbed.events


def test_a_codec_becomes_javascript_and_the_readings_stay_what_they_are(tmp_path: Path) -> None:
    observations, events = story_of(tmp_path / "once")
    codecs = [observation.codec for observation in observations]
    assert codecs == sorted(codecs), "siel before vendor"
    assert set(codecs) == {"siel/water_level", "vendor/level"}
    names = {tuple(observation.data) for observation in observations}
    assert len(names) == 1, names
    distances = [observation.data["distance"] for observation in observations]
    assert max(distances) - min(distances) < 500, "the same pond, in the same unit"
    assert all(observation.late_s < 1 for observation in observations)
    counters = sorted({observation.f_cnt for observation in observations})
    assert counters == list(range(counters[0], counters[-1] + 1)), "the session went on and nothing is missing"

    again, same_events = story_of(tmp_path / "again")
    assert same_events == events, "what a worker computes costs no virtual time"
    assert [observation.id for observation in again] == [observation.id for observation in observations]
