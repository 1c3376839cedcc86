"""JavaScript codecs and other files of the user's own in the daemon: off the loop, exactly once, replaced by SIGHUP."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from siel_codecs.errors import SchemaError
from siel_codecs.js import JsWorkerError
from siel_gateway import decoding
from siel_gateway.codecs import JsRunner
from siel_gateway.edge import UNDECODED, key_of
from siel_gateway.journal import Journal
from siel_hil.rigs.daemon_bench import DEV_EUI, READING, TOML, DaemonBench, journalled

JS_TOML = TOML.replace('codec = "siel/climate"', 'codec = "vendor/device"') + (
    '\n[[codec]]\nname = "vendor/device"\nkind = "js"\nfile = "device.js"\n'
)
GOOD = """function decodeUplink(input) {
  if (input.bytes[0] === 255) throw new Error("no reading");
  return { data: { length: input.bytes.length, time: input.recvTime, none: null }, warnings: ["low battery"] };
}"""
HOSTILE = "function decodeUplink() { for (;;) ; }"
OWN_SCHEMA = """title = "My climate"
[[uplink]]
f_port = {port}
extra = "ignore"
field = [{{ name = "{name}", type = "u8", unit = "%" }}]
"""


class Site(DaemonBench):
    """A daemon bench whose files lie on the disk."""

    def __init__(self, bench: Any, folder: Path, toml: str = JS_TOML, text: str = GOOD) -> None:
        folder.mkdir()
        self.write("device.js", text, folder)
        self.write("siel.toml", toml, folder)
        super().__init__(bench, folder, toml)

    def write(self, name: str, text: str, folder: Path | None = None) -> None:
        """Write a file beside siel.toml."""
        file = (folder or self.folder) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    async def reload(self) -> list[Any]:
        """Send SIGHUP, so to say; return what the daemon logged."""
        with capture_logs() as logs:
            self.daemon.reload_codecs()
            await asyncio.sleep(0.1)
        return list(logs)


@pytest.fixture
def js(bench: Any, tmp_path: Path) -> Site:
    return Site(bench, tmp_path / "gateway")


def undecoded(site: Site) -> dict[str, bytes]:
    assert site.daemon._journal is not None
    return site.daemon._journal.items(UNDECODED)


def test_a_javascript_device_is_answered_at_once_and_observed_when_its_codec_has_spoken(js: Site) -> None:
    async def main() -> None:
        async with js.running():
            node = await js.join()
            before = len(js.forwarder.downlinks)
            phy = node.uplink(confirmed=True)
            token = await js.heard(phy)
            assert token in js.forwarder.acknowledged
            assert len(js.forwarder.downlinks) == before + 1
            (observation,) = js.observations()
            assert observation["codec"] == "vendor/device"
            assert observation["data"] == {"length": len(READING), "time": observation["time"]}
            assert observation["warnings"] == ["low battery", "none: null"]
            assert observation["late_s"] < 0.2
            assert undecoded(js) == {}
            assert js.daemon.report()["observations"] == 1

    js.bench.run(main())


def test_a_frame_that_the_codec_refuses_costs_a_counted_error(js: Site) -> None:
    async def main() -> None:
        async with js.running():
            await js.join()
            js.write("device.js", GOOD.replace("=== 255", ">= 0"))
            await js.reload()
            with capture_logs() as logs:
                await js.heard(js.node.uplink())
            (line,) = [line for line in logs if line["event"] == "decode_error"]
            assert line["errors"] == ["JavaScript: Error: no reading (line 2)"]
            assert line["dev_eui"] == DEV_EUI
            assert js.daemon.counters["decode_errors"] == 1
            assert js.observations() == []
            assert undecoded(js) == {}

    js.bench.run(main())


def test_a_codec_that_never_ends_costs_its_frames_and_nothing_else(bench: Any, tmp_path: Path) -> None:
    site = Site(bench, tmp_path / "gateway", text=HOSTILE)

    async def main() -> None:
        async with site.running():
            node = await site.join()
            for _ in range(2):
                await site.heard(node.uplink(confirmed=True))
            assert len(site.forwarder.downlinks) == 3, "its devices are answered all the same"
            assert site.daemon.counters["decode_errors"] == 2
            site.write("device.js", GOOD)
            await site.reload()
            await site.heard(node.uplink())
            assert [observation["f_cnt"] for observation in site.observations()] == [2]

    site.bench.run(main())


def test_a_kill_between_commit_and_decoding_loses_nothing_and_repeats_nothing(
    js: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = JsRunner.decode

    async def stuck(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def main() -> None:
        async with js.running():
            node = await js.join()
            await js.heard(node.uplink())
            monkeypatch.setattr(JsRunner, "decode", stuck)
            frames = [node.uplink() for _ in range(5)]
            tokens = [await js.heard(phy) for phy in frames]
            assert set(tokens) <= set(js.forwarder.acknowledged), "what is not decoded is acknowledged all the same"
            assert len(undecoded(js)) == 5
            shutil.copytree(js.folder, tmp_path / "killed")
        assert len(js.observations()) == 1
        assert len(journalled(tmp_path / "killed" / "data")[1]) == 1

        monkeypatch.setattr(JsRunner, "decode", decode)
        js.folder = tmp_path / "killed"
        await js.restart()
        async with js.running():
            await asyncio.sleep(0.5)
            assert undecoded(js) == {}
            shutil.copytree(js.folder, tmp_path / "again")
        js.folder = tmp_path / "again"
        await js.restart()
        async with js.running():
            await js.heard(node.uplink())
        observations = journalled(js.data_dir)[1]
        assert [observation.f_cnt for observation in observations] == list(range(7)), "each once, in order"
        assert len({observation.id for observation in observations}) == 7
        assert all(observation.late_s < 0.2 for observation in observations), "received is when it was journalled"

    js.bench.run(main())


def test_observation_and_end_of_the_entry_are_one_transaction(js: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[tuple[int, int]] = []

    async def main() -> None:
        async with js.running():
            await js.join()
            assert js.daemon._journal is not None
            store = js.daemon._journal._store
            write = store.write

            def seen(batch: Any) -> None:
                ended = [key for (table, key), value in batch.state.items() if table == UNDECODED and value is None]
                batches.append((len(ended), len(batch.observations)))
                write(batch)

            monkeypatch.setattr(store, "write", seen)
            for _ in range(3):
                await js.heard(js.node.uplink())
        assert [batch for batch in batches if batch != (0, 0)] == [(1, 1)] * 3

    js.bench.run(main())


def test_a_daemon_that_is_asked_to_stop_decodes_what_it_has_heard(js: Site) -> None:
    async def main() -> None:
        async with js.running():
            node = await js.join()
            for _ in range(10):
                js.forwarder.push(node.uplink())
                await asyncio.sleep(0.001)
        assert [observation["f_cnt"] for observation in js.observations()] == list(range(10))

    js.bench.run(main())


def test_what_cannot_be_decoded_now_waits_in_the_journal(js: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    decode = JsRunner.decode
    failures: list[None] = []

    async def no_worker(*_: Any) -> Any:
        failures.append(None)
        raise JsWorkerError("no process")

    async def main() -> None:
        async with js.running():
            node = await js.join()
            monkeypatch.setattr(JsRunner, "decode", no_worker)
            for _ in range(3):
                await js.heard(node.uplink())
            await asyncio.sleep(20)
            assert len(undecoded(js)) == 3
            assert js.daemon.counters["js_worker_failures"] == len(failures) <= 6
            monkeypatch.setattr(JsRunner, "decode", decode)
            await asyncio.sleep(60)
            assert [observation["f_cnt"] for observation in js.observations()] == [0, 1, 2]

    js.bench.run(main())


def test_a_fault_of_ours_in_one_frame_does_not_stop_the_frames_after_it(
    js: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = JsRunner.decode
    calls: list[None] = []

    async def broken_once(*args: Any) -> Any:
        calls.append(None)
        if len(calls) == 1:
            raise RuntimeError("planted")
        return await decode(*args)

    async def main() -> None:
        monkeypatch.setattr(JsRunner, "decode", broken_once)
        async with js.running():
            node = await js.join()
            for _ in range(2):
                await js.heard(node.uplink())
            assert [observation["f_cnt"] for observation in js.observations()] == [1]
            assert js.daemon.counters["edge_faults"] == 1

    js.bench.run(main())


def test_more_than_may_wait_is_counted_and_the_frames_stay(js: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stuck(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def main() -> None:
        monkeypatch.setattr(decoding, "MAX_WAITING", 2)
        monkeypatch.setattr(JsRunner, "decode", stuck)
        async with js.running():
            node = await js.join()
            frames = [node.uplink() for _ in range(5)]
            for phy in frames:
                await js.heard(phy)
            assert js.daemon.counters["undecoded_dropped"] == 3
            assert set(frames) <= set(journalled(js.data_dir)[0])

    js.bench.run(main())


def test_entries_nobody_can_read_or_decode_are_told_and_end(js: Site) -> None:
    async def main() -> None:
        async with js.running():
            await js.join()
            await js.heard(js.node.uplink())
        journal = await Journal.open(js.data_dir / "journal.sqlite", js.bench)
        committing = asyncio.create_task(journal.run())
        journal.put(UNDECODED, key_of(1), b"\xc1 no MessagePack")
        journal.put(UNDECODED, key_of(2), msgspec.msgpack.encode(["too", "short"]))
        await journal.committed()
        committing.cancel()
        await journal.close()
        await js.restart()
        async with js.running():
            await js.heard(js.node.uplink())
            assert js.daemon.counters["undecoded_unreadable"] == 2
            assert undecoded(js) == {}
        assert [observation["f_cnt"] for observation in js.observations()] == [0, 1]

    js.bench.run(main())


def test_entries_of_a_device_that_is_gone_end_with_an_error(
    js: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(*_: Any) -> Any:
        await asyncio.Event().wait()

    async def main() -> None:
        async with js.running():
            await js.join()
            monkeypatch.setattr(JsRunner, "decode", stuck)
            await js.heard(js.node.uplink())
            shutil.copytree(js.folder, tmp_path / "killed")
        js.folder = tmp_path / "killed"
        js.toml = JS_TOML[: JS_TOML.index("[[device]]")]
        await js.restart()
        async with js.running():
            await asyncio.sleep(0.5)
            assert js.daemon.counters["decode_errors"] == 1
            assert undecoded(js) == {}

    js.bench.run(main())


# -- reload -----------------------------------------------------------------------------------------------------------


def test_a_new_schema_in_codecs_d_decodes_after_a_reload_without_a_new_session(bench: Any, tmp_path: Path) -> None:
    site = Site(bench, tmp_path / "gateway", TOML)

    async def main() -> None:
        async with site.running():
            node = await site.join()
            await site.heard(node.uplink())
            site.write("codecs.d/siel/climate.toml", OWN_SCHEMA.format(port=11, name="mine"))
            logs = await site.reload()
            assert [(line["event"], line.get("codecs")) for line in logs] == [("codecs_reloaded", ["siel/climate"])]
            before = len(site.forwarder.downlinks)
            await site.heard(node.uplink(confirmed=True))
            assert len(site.forwarder.downlinks) == before + 1, "the session went on"
            first, second = site.observations()
            assert "mine" not in first["data"]
            assert second["data"] == {"mine": READING[0]}
            assert second["units"] == {"mine": "%"}
            assert [line["codecs"] for line in await site.reload()] == [[]], "what has not changed stays"

    site.bench.run(main())


def test_a_device_may_change_to_another_codec_and_back(bench: Any, tmp_path: Path) -> None:
    site = Site(bench, tmp_path / "gateway", TOML)

    async def main() -> None:
        async with site.running():
            node = await site.join()
            site.write("codecs.d/my/sensor.toml", OWN_SCHEMA.format(port=11, name="mine"))
            for toml in (TOML.replace("siel/climate", "my/sensor"), JS_TOML, TOML):
                site.write("siel.toml", toml)
                assert [line["event"] for line in await site.reload()] == ["codecs_reloaded"]
                await site.heard(node.uplink())
            codecs = [observation["codec"] for observation in site.observations()]
            assert codecs == ["my/sensor", "vendor/device", "siel/climate"]

    site.bench.run(main())


@pytest.mark.parametrize("killed", [False, True])
def test_no_uplink_overtakes_one_that_waits_when_the_codec_changes(
    js: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    decode = JsRunner.decode
    go_on = asyncio.Event()

    async def stuck(*args: Any) -> Any:
        await go_on.wait()
        return await decode(*args)

    async def main() -> None:
        monkeypatch.setattr(JsRunner, "decode", stuck)
        async with js.running():
            node = await js.join()
            await js.heard(node.uplink())
            await js.heard(node.uplink())
            js.write("siel.toml", TOML)
            if killed:
                shutil.copytree(js.folder, tmp_path / "killed")
            else:
                await js.reload()
                await js.heard(node.uplink())
                assert js.observations() == []
            go_on.set()
        if killed:
            js.folder, js.toml = tmp_path / "killed", TOML
            await js.restart()
            async with js.running():
                await js.heard(node.uplink())
        observations = journalled(js.data_dir)[1]
        assert [observation.f_cnt for observation in observations] == [0, 1, 2]
        # the first one was being decoded when the codec changed: its Observation bears the name of who decoded it
        first = "siel/climate" if killed else "vendor/device"
        assert [observation.codec for observation in observations] == [first, "siel/climate", "siel/climate"]

    js.bench.run(main())


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("device.js", "function decodeUplink( {", "SyntaxError"),
        ("device.js", "var nothing", "device.js: JavaScript: it has none of the functions"),
        ("device.js", "function Encoder() {}", "device.js: JavaScript: it decodes no uplinks"),
        ("siel.toml", JS_TOML + "nonsense", "not TOML"),
        ("siel.toml", JS_TOML.replace("vendor/device", "vendor/other", 1), "there is no codec"),
        ("siel.toml", JS_TOML.replace("device.js", "none.js"), "cannot read the file"),
    ],
)
def test_a_wrong_file_keeps_the_old_codec_and_is_told(js: Site, name: str, text: str, said: str) -> None:
    async def main() -> None:
        async with js.running():
            node = await js.join()
            js.write(name, text)
            logs = await js.reload()
            assert said in str(logs)
            assert any(line["log_level"] == "error" for line in logs)
            assert js.daemon.counters["codec_faults"] == 1
            assert js.daemon.counters["codec_reloads"] == 1
            await js.heard(node.uplink())
            assert len(js.observations()) == 1

    js.bench.run(main())


def test_what_else_has_changed_waits_for_the_next_start_and_says_so(js: Site) -> None:
    async def main() -> None:
        async with js.running():
            js.write("siel.toml", JS_TOML.replace('name = "pond"', 'name = "lake"'))
            assert "restart_needed" in [line["event"] for line in await js.reload()]
            node = await js.join()
            await js.heard(node.uplink())
            assert js.observations()[0]["device"] == "pond"

    js.bench.run(main())


def test_a_daemon_does_not_start_with_a_wrong_codec(bench: Any, tmp_path: Path) -> None:
    folder = tmp_path / "gateway"
    (folder / "codecs.d" / "siel").mkdir(parents=True)
    (folder / "codecs.d" / "siel" / "climate.toml").write_text("title = 1")
    with pytest.raises(SchemaError):
        DaemonBench(bench, folder)
