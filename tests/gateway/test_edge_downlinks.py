"""Operators' downlinks in the edge server: queue, outcome, expiry."""

from __future__ import annotations

from siel_gateway.edge.queue import MAX_QUEUED
from siel_hil.rigs.edge_site import CONCENTRATOR, Node, Site, commands_of, deliveries, only_request


def test_downlink_waits_for_an_uplink_and_its_outcome_is_told() -> None:
    site = Site()
    node = site.join()
    assert site.enqueue(node, "a", b"open") == [("queued", "")]
    request = only_request(site.hear(node.uplink()))
    _, frame, payload = node.hear(request.phy_payload)
    assert (frame.f_port, payload, frame.confirmed, frame.f_pending) == (3, b"open", False, False)
    (delivery,) = site.outcome(request, "on_air", slack_us=800_000)
    assert (delivery.id, delivery.outcome, delivery.slack_us) == ("a", "on_air", 800_000)
    assert site.hear(node.uplink()).transmissions == []


def test_what_a_forwarder_has_queued_is_not_called_on_air() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a")
    (delivery,) = site.outcome(only_request(site.hear(node.uplink())), "queued")
    assert (delivery.outcome, delivery.reason) == ("queued", "FORWARDER")
    assert site.hear(node.uplink()).transmissions == []


def test_refused_transmission_is_tried_again_with_the_next_uplink() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", b"open")
    (delivery,) = site.outcome(only_request(site.hear(node.uplink())), "too_late", "TOO_LATE", -300)
    assert (delivery.outcome, delivery.reason, delivery.slack_us) == ("queued", "TOO_LATE", -300)
    assert node.hear(only_request(site.hear(node.uplink())).phy_payload)[2] == b"open"


def test_one_downlink_is_on_its_way_at_a_time_and_f_pending_tells_of_more() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a")
    site.enqueue(node, "b")
    request = only_request(site.hear(node.uplink()))
    assert node.hear(request.phy_payload)[1].f_pending
    assert site.hear(node.uplink()).transmissions == []  # the outcome of "a" is not known yet
    site.outcome(request, "on_air")
    assert not node.hear(only_request(site.hear(node.uplink())).phy_payload)[1].f_pending


def test_confirmed_downlink_is_repeated_until_acked() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", confirmed=True)
    for _ in range(2):
        request = only_request(site.hear(node.uplink()))
        assert node.hear(request.phy_payload)[1].confirmed
        assert [delivery.outcome for delivery in site.outcome(request, "on_air")] == ["on_air"]
        site.store.commit()
        site.restart()
    assert deliveries(site.hear(node.uplink(ack=True))) == [("acked", "")]
    assert site.hear(node.uplink()).transmissions == []


def test_confirmed_downlink_is_given_up_after_eight_times() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", confirmed=True)
    for _ in range(8):
        site.outcome(only_request(site.hear(node.uplink())), "on_air")
    effects = site.hear(node.uplink())
    assert (deliveries(effects), effects.transmissions) == ([("expired", "NO_ACK")], [])


def test_ack_finds_a_downlink_whose_outcome_stayed_unknown() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", confirmed=True)
    site.outcome(only_request(site.hear(node.uplink())), "unknown", "NO_RADIO")
    assert deliveries(site.hear(node.uplink(ack=True))) == [("acked", "")]


def test_expired_downlink_is_not_sent() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", expires_ms=site.now.utc_ms + 1000)
    site.wait(1)
    effects = site.hear(node.uplink())
    assert (deliveries(effects), effects.transmissions) == ([("expired", "")], [])
    site.enqueue(node, "b", expires_ms=site.now.utc_ms + 1000)
    assert deliveries(site.edge.expire(site.now.utc_ms + 999)) == []
    assert deliveries(site.edge.expire(site.now.utc_ms + 1000)) == [("expired", "")]


def test_downlinks_that_can_never_be_sent_are_refused_at_once() -> None:
    site = Site()
    node = site.join()
    assert site.enqueue(node, "a") == [("queued", "")]
    assert site.enqueue(node, "a") == [("queued", "")]  # a broker may deliver twice
    assert site.enqueue(node, "a", b"other") == [("refused", "DUPLICATE_ID")]
    assert site.enqueue(node, "") == [("refused", "ID")]
    assert site.enqueue(node, "x" * 129) == [("refused", "ID")]
    assert site.enqueue(node, "b", f_port=0) == [("refused", "F_PORT")]
    assert site.enqueue(node, "b", f_port=224) == [("refused", "F_PORT")]
    assert site.enqueue(node, "b", bytes(243)) == [("refused", "SIZE")]
    assert site.enqueue(node, "b", expires_ms=site.now.utc_ms) == [("expired", "")]
    assert site.enqueue(Node(99), "b") == [("refused", "UNKNOWN_DEVICE")]
    for number in range(MAX_QUEUED - 1):
        assert site.enqueue(node, f"more {number}", bytes(242)) == [("queued", "")]
    assert site.enqueue(node, "b") == [("refused", "QUEUE_FULL")]


def test_long_downlink_goes_out_in_rx1_only_and_never_at_a_slow_data_rate() -> None:
    site = Site(CONCENTRATOR)
    node = site.join()
    site.enqueue(node, "a", bytes(52))
    request = only_request(site.hear(node.uplink()))
    assert [window.name for window in request.windows] == ["RX1"]
    site.outcome(request, "too_late", "TOO_LATE")
    effects = site.hear(node.uplink(), spreading_factor=12)
    assert (deliveries(effects), effects.transmissions) == ([("refused", "SIZE")], [])


def test_mac_commands_come_before_a_downlink_that_has_no_room_beside_them() -> None:
    site = Site([(868_100_000, 12, 125_000)])
    node = site.join(spreading_factor=12)
    site.enqueue(node, "a", bytes(51))
    _, frame, payload = node.hear(only_request(site.hear(node.uplink(), spreading_factor=12)).phy_payload)
    assert (list(commands_of(frame)), payload, frame.f_pending) == (["LinkADRReq"], b"", True)


def test_queue_and_remembered_ids_survive_a_restart() -> None:
    site = Site()
    node = site.join()
    site.enqueue(node, "a", b"open")
    site.store.commit()
    site.restart()
    assert site.enqueue(node, "a", b"open") == [("queued", "")]
    request = only_request(site.hear(node.uplink()))
    assert node.hear(request.phy_payload)[2] == b"open"
    site.outcome(request, "on_air")
    assert site.enqueue(node, "a", b"open") == [("refused", "DUPLICATE_ID")]
    assert site.hear(node.uplink()).transmissions == []
