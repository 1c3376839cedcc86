"""An 8-channel concentrator (SX1301 class) with its packet forwarder, speaking Semtech UDP to one server.

It hears eight channels at SF7 to SF12 with eight demodulators, is deaf while it sends, forwards good frames every 10 ms
and acknowledges a downlink when it is queued: what happens to it later, it does not tell. Not modelled: the LoRa
standard and FSK channels, beacons, GPS time.
"""

from __future__ import annotations

import datetime
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from siel_hil.medium import Medium
from siel_hil.medium_air import (
    ABORTED,
    NOT_LISTENING,
    WRONG_IQ,
    WRONG_SYNC_WORD,
    Cause,
    Reception,
    Station,
    Transmission,
)
from siel_hil.medium_physics import FREQUENCY_TOLERANCE, needs_ldro, noise_dbm, total_dbm
from siel_hil.models import semtech_udp as udp
from siel_hil.models.jit_queue import JIT_DELAY_US, JitQueue, Job
from siel_hil.world import World

CHANNELS_HZ: Final = tuple(range(868_100_000, 868_500_001, 200_000)) + tuple(range(867_100_000, 867_900_001, 200_000))
"""EU868: the three default channels and the five usual ones."""
BANDWIDTH_HZ: Final = 125_000
SPREADING_FACTORS: Final = range(7, 13)
DEMODULATORS: Final = 8
"""Source: SX1301 datasheet; an SX1302 has 16."""
SYNC_WORD: Final = 0x3444
FETCH_US: Final = 10_000
"""The forwarder's receive loop. Source: sx1302_hal lora_pkt_fwd.c, FETCH_SLEEP_MS."""
STAT_US: Final = 30_000_000
KEEPALIVE_US: Final = 10_000_000
"""Source: Semtech's shipped configurations for EU868."""
TX_RANGE_HZ: Final = (863_000_000, 870_000_000)
POWER_LUT_DBM: Final = tuple(range(12, 28))
"""Conducted power the TX gain table offers. Source: sx1302_hal global_conf EU868 has 16 steps from 12 to 27 dBm."""
SNR_CEILING_DB: Final = 13.0
"""Strong signals' SNR saturates about here in forwarders' logs."""
_EPOCH: Final = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
_COUNTER: Final = 0xFFFFFFFF
_FAR_PAST: Final = -(1 << 40)
_LOW_RADIO_BELOW_HZ: Final = 868_000_000
_CODING_RATES: Final = {"4/5": 5, "4/6": 6, "4/7": 7, "4/8": 8}


class Concentrator:
    """One concentrator box (the medium's ``Receiver``).

    Args:
        world: Where it lives.
        medium: Its air.
        station: Where it stands; role ``gateway``.
        gateway_eui: 16 hex digits.
        channels_hz: What it hears.
        counter_start_us: Value of its 32-bit counter at time 0.
    """

    def __init__(
        self,
        world: World,
        medium: Medium,
        station: Station,
        gateway_eui: str,
        *,
        channels_hz: Sequence[int] = CHANNELS_HZ,
        counter_start_us: int = 0,
    ) -> None:
        self.world = world
        self.medium = medium
        self.station = station
        self.name = station.name
        self.gateway_eui = gateway_eui
        self.channels_hz = tuple(channels_hz)
        self.receiving_since_us: int | None = world.now_us
        self.searching_since_us = world.now_us
        self.transmitted_us = (_FAR_PAST, _FAR_PAST)
        self.counters: Counter[str] = Counter()
        """Since the start, what the forwarder's statistics count and what it keeps quiet about."""
        self.queue = JitQueue()
        self._counter_start_us = counter_start_us
        self._active: list[Reception] = []
        self._endpoint: udp.Endpoint | None = None
        self._server: udp.Address = ("", 0)
        self._waiting: list[dict[str, Any]] = []
        self._tokens = world.rng(f"concentrator/{self.name}")
        self._unacknowledged: dict[bytes, None] = {}
        self._interval: Counter[str] = Counter()
        self._scheduled: Job | None = None
        medium.attach(self)

    # --- network ----------------------------------------------------------------------------------------------

    def start(self, endpoint: udp.Endpoint, server: udp.Address) -> None:
        """Begin to forward; whoever owns ``endpoint`` calls ``receive``."""
        self._endpoint = endpoint
        self._server = server
        self._keep_alive()
        self.world.after(STAT_US, self._statistics)

    def stop(self) -> None:
        """Say no more to the server; frames are heard and dropped."""
        self._endpoint = None

    def receive(self, data: bytes, source: udp.Address) -> None:
        """Take a datagram from the server; whatever is wrong with it is counted and dropped."""
        datagram = udp.parse(data)
        if datagram is None:
            self._count("bad_datagram")
        elif datagram.kind == udp.PULL_RESP:
            self._downlink(datagram)
        elif datagram.kind == udp.PUSH_ACK:
            if datagram.token in self._unacknowledged:
                del self._unacknowledged[datagram.token]
                self._count("push_acked")
        elif datagram.kind == udp.PULL_ACK:
            self._count("pull_acked")

    def counter_us(self, t_us: int) -> int:
        """Return the 32-bit counter at a time."""
        return (t_us + self._counter_start_us) & _COUNTER

    def _count(self, name: str) -> None:
        self.counters[name] += 1
        self._interval[name] += 1

    def _token(self) -> bytes:
        return self._tokens.randbytes(2)

    def _send(self, kind: int, token: bytes, body: dict[str, Any] | None = None) -> None:
        if self._endpoint is not None:
            self._endpoint.send(udp.encode(kind, token, self.gateway_eui, body), self._server)

    def _push(self, body: dict[str, Any]) -> None:
        token = self._token()
        # the forwarder waits 100 ms for the answer and then forgets; so does this, one interval at a time
        self._unacknowledged[token] = None
        self._count("push_sent")
        self._send(udp.PUSH_DATA, token, body)

    def _keep_alive(self) -> None:
        if self._endpoint is not None:
            self._count("pull_sent")
            self._send(udp.PULL_DATA, self._token())
            self.world.after(KEEPALIVE_US, self._keep_alive)

    def _statistics(self) -> None:
        if self._endpoint is None:
            return
        interval = self._interval
        sent = interval["push_sent"]
        time = _EPOCH + datetime.timedelta(microseconds=self.world.now_us)
        stat = {
            "time": time.strftime("%Y-%m-%d %H:%M:%S GMT"),
            "rxnb": interval["rx"],
            "rxok": interval["rx_ok"],
            "rxfw": interval["rx_forwarded"],
            "ackr": round(100.0 * interval["push_acked"] / sent, 1) if sent else 0.0,
            "dwnb": interval["downlinks"],
            "txnb": interval["tx"],
            "temp": 25.0,
        }
        interval.clear()
        self._unacknowledged.clear()
        self._push({"stat": stat})
        self.world.after(STAT_US, self._statistics)

    # --- hearing ----------------------------------------------------------------------------------------------

    def mismatch(self, tx: Transmission) -> Cause:
        """Say why none of the channels can hear ``tx``; empty when one can."""
        if (
            tx.spreading_factor not in SPREADING_FACTORS
            or tx.bandwidth_hz != BANDWIDTH_HZ
            or self._channel(tx.frequency_hz) is None
        ):
            return NOT_LISTENING
        if tx.invert_iq:
            return WRONG_IQ
        return "" if tx.sync_word == SYNC_WORD else WRONG_SYNC_WORD

    def _channel(self, frequency_hz: int) -> int | None:
        limit_hz = FREQUENCY_TOLERANCE * BANDWIDTH_HZ
        for index, channel_hz in enumerate(self.channels_hz):
            if abs(frequency_hz - channel_hz) <= limit_hz:
                return index
        return None

    def preamble(self, reception: Reception) -> bool:
        """Give the frame a demodulator, if one is free."""
        if len(self._active) >= DEMODULATORS:
            return False
        self._active.append(reception)
        return True

    def header(self, reception: Reception, intact: bool) -> bool:
        """Go on with a frame whose header is readable."""
        if not intact:
            self._active.remove(reception)
        return intact

    def finish(self, reception: Reception, intact: bool) -> bool:
        """Forward a good frame; count any. One without CRC is not forwarded, as forwarders ship."""
        self._active.remove(reception)
        tx = reception.tx
        good = intact and tx.ldro == needs_ldro(tx.spreading_factor, tx.bandwidth_hz)
        self._count("rx")
        if good and not tx.crc:
            self._count("rx_no_crc")
        elif good:
            self._count("rx_ok")
            if not self._waiting:
                self.world.at((self.world.now_us // FETCH_US + 1) * FETCH_US, self._fetch)
            self._waiting.append(self._rxpk(reception))
        return good

    def _rxpk(self, reception: Reception) -> dict[str, Any]:
        tx = reception.tx
        channel = self._channel(tx.frequency_hz) or 0
        channel_hz = self.channels_hz[channel]
        return {
            "jver": 1,
            "tmst": self.counter_us(self.world.now_us),
            "chan": channel,
            "rfch": 0 if channel_hz < _LOW_RADIO_BELOW_HZ else 1,
            "freq": round(channel_hz / 1e6, 6),
            "mid": 8,
            "stat": 1,
            "modu": "LORA",
            "datr": f"SF{tx.spreading_factor}BW{tx.bandwidth_hz // 1000}",
            "codr": f"4/{tx.coding_rate}",
            "rssis": round(reception.rssi_dbm),
            "lsnr": round(min(reception.snr_db, SNR_CEILING_DB), 1),
            "foff": tx.frequency_hz - channel_hz,
            "rssi": round(total_dbm(reception.rssi_dbm, noise_dbm(tx.bandwidth_hz))),
            "size": len(tx.payload),
            "data": udp.encode_payload(tx.payload),
        }

    def _fetch(self) -> None:
        if not self._waiting:
            return
        frames, self._waiting = self._waiting, []
        if self._endpoint is None:
            return
        for _ in frames:
            self._count("rx_forwarded")
        self._push({"rxpk": frames})

    # --- sending ----------------------------------------------------------------------------------------------

    def _downlink(self, datagram: udp.Datagram) -> None:
        tx, refusal = self._transmission(datagram.body.get("txpk"))
        if tx is None:
            # the forwarder answers a request that it cannot read with silence
            self._count("bad_request" if not refusal else "refused")
            if refusal:
                self._acknowledge(datagram.token, {"error": refusal})
            return
        self._count("downlinks")
        txpk = datagram.body["txpk"]
        now_us = self.counter_us(self.world.now_us)
        power_dbm, warning = self._power(tx.power_dbm)
        tx.power_dbm = power_dbm
        if txpk.get("imme") is True:
            refusal, job = self.queue.enqueue_now(now_us, tx.airtime_us(), tx)
        else:
            job = Job(txpk["tmst"], tx.airtime_us(), tx)
            refusal = self.queue.enqueue(now_us, job)
        if refusal or job is None:
            self._count("refused")
            self._acknowledge(datagram.token, {"error": refusal})
            return
        ahead_us = (job.count_us - now_us) & _COUNTER
        self.world.after(ahead_us - JIT_DELAY_US, self._schedule, job)
        self._acknowledge(datagram.token, {"warn": "TX_POWER", "value": int(power_dbm)} if warning else None)

    def _acknowledge(self, token: bytes, what: dict[str, Any] | None) -> None:
        self._send(udp.TX_ACK, token, None if what is None else {"txpk_ack": what})

    def _transmission(self, txpk: Any) -> tuple[Transmission | None, str]:
        """Return the frame a request asks for; else None and the protocol's error word, empty for silence."""
        if not isinstance(txpk, dict) or txpk.get("modu") != "LORA":
            return None, ""
        rate, coding_rate = udp.parse_data_rate(txpk.get("datr")), _CODING_RATES.get(str(txpk.get("codr")))
        frequency_mhz, tmst = txpk.get("freq"), txpk.get("tmst")
        timed = isinstance(tmst, int) and not isinstance(tmst, bool) and 0 <= tmst <= _COUNTER
        try:
            payload = udp.decode_payload(txpk["data"])
        except (KeyError, TypeError, ValueError):
            return None, ""
        if (
            rate is None
            or coding_rate is None
            or not isinstance(frequency_mhz, (int, float))
            or not math.isfinite(frequency_mhz)
            or not (timed or txpk.get("imme") is True)
            or not isinstance(txpk.get("rfch"), int)
            or not isinstance(txpk.get("powe", 14), (int, float))
            or len(payload) > 255  # noqa: PLR2004 - the radio's longest frame
            or rate[0] not in range(5, 13)
            or rate[1] not in {125_000, 250_000, 500_000}
        ):
            return None, ""
        frequency_hz = round(frequency_mhz * 1_000_000)
        if not TX_RANGE_HZ[0] <= frequency_hz <= TX_RANGE_HZ[1]:
            return None, "TX_FREQ"
        prea = txpk.get("prea", 8)
        tx = Transmission(
            self.station,
            frequency_hz,
            rate[0],
            rate[1],
            payload,
            coding_rate=coding_rate,
            preamble=max(6, prea) if isinstance(prea, int) else 8,
            invert_iq=txpk.get("ipol") is True,
            crc=txpk.get("ncrc") is not True,
            ldro=needs_ldro(*rate),
            power_dbm=txpk.get("powe", 14) - self.station.antenna_gain_db,
        )
        return tx, ""

    def _power(self, wanted_dbm: float) -> tuple[float, bool]:
        """Return the table's power for a wanted one, the next lower, and whether that needs a warning."""
        fitting = [step for step in POWER_LUT_DBM if step <= wanted_dbm]
        used = fitting[-1] if fitting else POWER_LUT_DBM[0]
        return float(used), used != round(wanted_dbm)

    def _schedule(self, job: Job) -> None:
        """Hand a frame to the concentrator, which has room for one: what it held is lost, and nobody is told."""
        if not self.queue.take(job):
            return
        if self.world.now_us < self.transmitted_us[1]:
            self._count("tx_lost")
            return
        if self._scheduled is not None:
            self._count("tx_lost")
        self._scheduled = job
        self.world.after(JIT_DELAY_US, self._transmit, job)

    def _transmit(self, job: Job) -> None:
        if self._scheduled is not job:
            return
        self._scheduled = None
        for reception in self._active:
            reception.state = ABORTED
        self._active.clear()
        self.receiving_since_us = None
        tx: Transmission = job.packet
        self.medium.transmit(tx)
        self.transmitted_us = (tx.t0_us, tx.t1_us)
        self._count("tx")
        self.world.at(tx.t1_us, self._listen_again)

    def _listen_again(self) -> None:
        self.receiving_since_us = self.searching_since_us = self.world.now_us
