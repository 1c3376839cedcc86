# LoRa modulation arithmetic, integers only; the same numbers for node, head, gateway and the emulated air.


def symbol_time_us(spreading_factor: int, bandwidth_hz: int) -> int:
    # Source: SX1261/2 datasheet 6.1.4, Ts = 2**SF / BW. Exact for 125, 250 and 500 kHz.
    return (1 << spreading_factor) * 1000 // (bandwidth_hz // 1000)


def low_data_rate_optimize(spreading_factor: int, bandwidth_hz: int) -> bool:
    # Source: SX1261/2 datasheet 6.1.1.4: for symbols of 16.38 ms and longer, that is SF11 and SF12 at 125 kHz.
    return symbol_time_us(spreading_factor, bandwidth_hz) >= 16000


def airtime_us(
    spreading_factor: int,
    bandwidth_hz: int,
    length: int,
    crc: bool = True,
    coding_rate: int = 5,
    preamble: int = 8,
    implicit: bool = False,
) -> int:
    # length: PHYPayload in bytes; coding_rate: 5 to 8 for 4/5 to 4/8.
    # Source: SX1261/2 datasheet 6.1.4, counted in quarter symbols so that the preamble's 4.25 stays an integer.
    bits = 8 * length + (16 if crc else 0) - 4 * spreading_factor + (0 if implicit else 20)
    if spreading_factor >= 7:
        bits += 8
        preamble_x4 = 4 * preamble + 17
        per_block = 4 * (spreading_factor - (2 if low_data_rate_optimize(spreading_factor, bandwidth_hz) else 0))
    else:
        preamble_x4 = 4 * preamble + 25
        per_block = 4 * spreading_factor
    blocks = (max(bits, 0) + per_block - 1) // per_block
    symbols_x4 = preamble_x4 + 4 * (8 + blocks * coding_rate)
    return symbols_x4 * symbol_time_us(spreading_factor, bandwidth_hz) // 4
