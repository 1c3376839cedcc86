"""LoRaWAN frames and sensor payloads: from bytes to values and back, on gateway and tools."""
