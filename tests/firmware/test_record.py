"""A record in two slots: whatever is torn, the old content or the new one comes back."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from siel_node.record import MAX_RECORD_BYTES, Record


def slot_files(path: Path) -> dict[str, bytes]:
    return {slot: (path / f"state.{slot}").read_bytes() for slot in "01" if (path / f"state.{slot}").exists()}


def test_nothing_stored_is_none(tmp_path: Path) -> None:
    assert Record(str(tmp_path / "state")).load() is None


def test_content_comes_back_after_a_restart_and_slots_take_turns(tmp_path: Path) -> None:
    for number in range(5):
        record = Record(str(tmp_path / "state"))
        record.load()
        before = slot_files(tmp_path)
        assert record.save(b"content %d" % number)
        changed = [slot for slot, data in slot_files(tmp_path).items() if before.get(slot) != data]
        assert changed == [str(number % 2)]
        assert Record(str(tmp_path / "state")).load() == b"content %d" % number


@settings(max_examples=60, deadline=None)
@given(
    history=st.integers(1, 4),
    new=st.binary(max_size=40),
    cut=st.integers(0, 60),
    tail=st.sampled_from(["gone", "old", "noise"]),
    noise=st.binary(max_size=60),
)
def test_a_write_torn_at_any_byte_leaves_old_or_new(
    tmp_path_factory: pytest.TempPathFactory, history: int, new: bytes, cut: int, tail: str, noise: bytes
) -> None:
    path = tmp_path_factory.mktemp("flash")
    record = Record(str(path / "state"))
    record.load()
    for number in range(history):
        assert record.save(b"old %d" % number)
    before = slot_files(path)
    assert record.save(new)
    after = slot_files(path)
    (slot,) = [slot for slot in after if after[slot] != before.get(slot)]
    rest = {"gone": b"", "old": before.get(slot, b"")[cut:], "noise": noise}[tail]
    torn = after[slot][:cut] + rest
    (path / f"state.{slot}").write_bytes(torn)

    restarted = Record(str(path / "state"))
    found = restarted.load()
    complete = torn == after[slot]
    assert found == (new if complete else b"old %d" % (history - 1))
    assert restarted.save(b"goes on")
    assert Record(str(path / "state")).load() == b"goes on"


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_in_both_slots_are_nothing_or_a_valid_record(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("flash")
    for slot in "01":
        (path / f"state.{slot}").write_bytes(data)
    assert Record(str(path / "state")).load() is None


def test_a_file_system_that_refuses_is_told_and_keeps_the_old_content(tmp_path: Path) -> None:
    record = Record(str(tmp_path / "state"))
    record.load()
    assert record.save(b"old")
    (tmp_path / "state.1").mkdir()
    assert not record.save(b"new")
    assert Record(str(tmp_path / "state")).load() == b"old"
    (tmp_path / "state.1").rmdir()
    assert record.save(b"newer")
    assert Record(str(tmp_path / "state")).load() == b"newer"


def test_what_was_not_written_as_it_was_meant_is_told(tmp_path: Path) -> None:
    def worn(path: str, mode: str):  # type: ignore[no-untyped-def]
        return open("/dev/null", "wb") if "w" in mode else open(path, mode)

    record = Record(str(tmp_path / "state"), worn)
    assert not record.save(b"lost")


@pytest.mark.parametrize(("size", "kept"), [(MAX_RECORD_BYTES - 10, True), (MAX_RECORD_BYTES - 9, False)])
def test_the_bound_on_a_record(tmp_path: Path, size: int, kept: bool) -> None:
    assert Record(str(tmp_path / "state")).save(bytes(size)) is kept
