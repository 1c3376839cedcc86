"""From configuration to upstreams."""

from __future__ import annotations

from collections.abc import Mapping

from siel_gateway.config_models import Config
from siel_gateway.journal import Journal
from siel_gateway.radios import Radio
from siel_gateway.services import Services
from siel_gateway.upstreams import Submit, Upstream
from siel_gateway.upstreams.semtech_udp import SemtechUdpUpstream


def build_upstreams(
    config: Config, services: Services, journal: Journal, radios: Mapping[str, Radio], submit: Submit
) -> list[Upstream]:
    """Return every configured upstream; nothing is opened before its ``run``."""
    return [
        SemtechUdpUpstream(upstream, services=services, journal=journal, radios=radios, submit=submit)
        for upstream in config.upstreams
    ]
