# One LoRa chip of the head on the head's clock: the driver, plus the last 2 ms before a transmission.
from siel_node._compat import sleep_ms, ticks_diff, ticks_us
from siel_node.radio.sx126x import TX_START_US

# Later than this it is not sent: an end device's shortest window leaves a few milliseconds, other errors want them too.
LATE_US = 1000
_SPIN_US = 1500
_MAX_CALL_US = 500


class Chip:
    def __init__(self, radio, counter):
        self.radio = radio
        self.flag = radio.flag
        self._counter = counter
        # How long the SetTx command takes from call to chip select, measured at every transmission
        self._call_us = 60

    def restart(self) -> None:
        self.radio.init()

    def listen(self, frequency_hz, spreading_factor, bandwidth_hz, antenna_gain_db) -> None:
        self.radio.antenna_gain_db = antenna_gain_db
        self.radio.prepare_rx(frequency_hz, spreading_factor, bandwidth_hz, invert_iq=False)
        self.radio.start_rx(continuous=True)

    def listening(self):
        # Whether it is in RX and its interrupts come through.
        return self.radio.listening()

    def poll(self):
        return self.radio.poll()

    def read(self):
        # (payload, RSSI in dBm, SNR in quarter dB, coding rate, payload CRC present, end of the frame on the counter)
        payload, rssi_dbm, snr_x4 = self.radio.read()
        coding_rate, crc = self.radio.header()
        return payload, rssi_dbm, snr_x4, coding_rate, crc, self._counter.at(self.radio.irq_us)

    def transmit(self, transmission):
        # Starts it on its time and returns when the preamble starts, None when that time had passed already.
        fields = transmission.fields
        self.radio.prepare_tx(
            transmission.frequency_hz,
            fields["spreading_factor"],
            fields["bandwidth_hz"],
            transmission.payload,
            transmission.power_dbm,
            fields["coding_rate"],
            fields["preamble"],
            bool(fields["crc"]),
            bool(fields["invert_iq"]),
        )
        deadline = self._counter.ticks(transmission.start_us - TX_START_US - self._call_us)
        left_us = ticks_diff(deadline, ticks_us())
        if left_us < -LATE_US:
            return None
        if left_us > _SPIN_US + 1000:
            sleep_ms((left_us - _SPIN_US) // 1000)
        while ticks_diff(deadline, ticks_us()) > 0:
            pass
        before = ticks_us()
        self.radio.start_tx()
        after = ticks_us()
        self._call_us = min(ticks_diff(after, before), _MAX_CALL_US)
        return self._counter.at(after) + TX_START_US
