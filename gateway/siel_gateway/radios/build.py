"""From configuration to radios."""

from __future__ import annotations

from collections import Counter

from siel_gateway.config_models import Config, SerialHeadRadio
from siel_gateway.radios import Radio, Receive
from siel_gateway.radios.semtech_udp import SemtechUdp
from siel_gateway.radios.serial_head import SerialHead
from siel_gateway.services import Services


def build_radios(config: Config, services: Services, receive: Receive) -> dict[str, Radio]:
    """Return every configured radio by name; nothing is opened before its ``run``."""
    heads_eui = config.gateway.id
    per_eui = Counter(heads_eui if isinstance(radio, SerialHeadRadio) else radio.gateway_id for radio in config.radios)
    radios: dict[str, Radio] = {}
    for radio in config.radios:
        if isinstance(radio, SerialHeadRadio):
            alone = per_eui[heads_eui] == 1
            radios[radio.name] = SerialHead(
                radio, gateway_eui=heads_eui, services=services, receive=receive, alone=alone
            )
        else:
            alone = per_eui[radio.gateway_id] == 1
            radios[radio.name] = SemtechUdp(radio, services=services, receive=receive, alone=alone)
    return radios
