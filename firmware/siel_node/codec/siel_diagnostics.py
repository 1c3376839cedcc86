# Made by `siel codec generate siel/diagnostics --target micropython`: change the schema instead.
# Integers in, bytes out, nothing allocated; None means not available; what is out of range saturates.
F_PORT = 21
SIZE = 10
RESET_CAUSE_POWER_ON = 0
RESET_CAUSE_RESET_PIN = 1
RESET_CAUSE_WATCHDOG = 2
RESET_CAUSE_DEEP_SLEEP = 3
RESET_CAUSE_SOFT = 4
RESET_CAUSE_BROWN_OUT = 5
RESET_CAUSE_FAULT = 6


def encode(
    buf: bytearray,
    reset_cause: int | None,
    battery_mv: int | None,
    uptime_h: int | None,
    resets: int | None,
    missed_windows: int | None,
    flash_writes: int | None,
    clock_drift_ppm: int | None,
    free_heap_bytes: int | None,
) -> int:
    # Why the node started last: 0 power_on, 1 reset_pin, 2 watchdog, 3 deep_sleep, 4 soft, 5 brown_out, 6 fault, 3 bits
    if reset_cause is None:
        reset_cause = 7
    elif not 0 <= reset_cause <= 6:
        raise ValueError("reset_cause")
    # Battery voltage: 1.8 to 4.34 V, 8 bits
    if battery_mv is None:
        battery_mv = 255
    elif battery_mv < 1800:
        battery_mv = 0
    elif battery_mv > 4340:
        battery_mv = 254
    else:
        battery_mv = (battery_mv - 1795) // 10
    # Time since the last start: 0 to 65530 h, 16 bits
    if uptime_h is None:
        raise ValueError("uptime_h")
    if uptime_h < 0:
        uptime_h = 0
    elif uptime_h > 65530:
        uptime_h = 65535
    # Starts since installation: 0 to 1020, 10 bits
    if resets is None:
        raise ValueError("resets")
    if resets < 0:
        resets = 0
    elif resets > 1020:
        resets = 1023
    # Receive windows missed since the last start: 0 to 254, 8 bits
    if missed_windows is None:
        raise ValueError("missed_windows")
    if missed_windows < 0:
        missed_windows = 0
    elif missed_windows > 254:
        missed_windows = 255
    # Flash blocks written since installation: 0 to 6553000, 16 bits
    if flash_writes is None:
        raise ValueError("flash_writes")
    if flash_writes < 0:
        flash_writes = 0
    elif flash_writes > 6553049:
        flash_writes = 65535
    else:
        flash_writes = (flash_writes + 50) // 100
    # Error of the crystal, as downlinks show it: -120 to 120 ppm, 8 bits
    if clock_drift_ppm is None:
        clock_drift_ppm = 128
    elif clock_drift_ppm < -120:
        clock_drift_ppm = 136
    elif clock_drift_ppm > 120:
        clock_drift_ppm = 120
    else:
        clock_drift_ppm &= 255
    # Free memory after a collection: 0 to 260096 B, 8 bits
    if free_heap_bytes is None:
        free_heap_bytes = 255
    elif free_heap_bytes < 0:
        free_heap_bytes = 0
    elif free_heap_bytes > 260096:
        free_heap_bytes = 254
    else:
        free_heap_bytes = (free_heap_bytes + 512) // 1024
    buf[0] = 32 | reset_cause << 2 | battery_mv >> 6
    buf[1] = (battery_mv & 63) << 2 | uptime_h >> 14
    buf[2] = uptime_h >> 6 & 255
    buf[3] = (uptime_h & 63) << 2 | resets >> 8
    buf[4] = resets & 255
    buf[5] = missed_windows
    buf[6] = flash_writes >> 8
    buf[7] = flash_writes & 255
    buf[8] = clock_drift_ppm
    buf[9] = free_heap_bytes
    return 10
