"""Decides whether a quay is going to flood, and remembers what was announced."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

SAFETY_MARGIN_M = 0.25
"""An alert is raised this far below the edge of the quay: waves do the rest."""
STATE_FILE = Path("/var/lib/tidewatch/sent.json")


@dataclass(frozen=True)
class Alert:
    station: str
    when: datetime
    water_m: float
    quay_m: float

    @property
    def is_severe(self) -> bool:
        """Water over the edge, not only near it."""
        return self.water_m >= self.quay_m


def should_alert(water_m: float, quay_height_m: float, surge_m: float = 0.0) -> bool:
    """Whether water plus storm surge come within SAFETY_MARGIN_M of the edge of the quay."""
    return water_m + surge_m >= quay_height_m - SAFETY_MARGIN_M


def was_sent(alert: Alert, state_file: Path = STATE_FILE) -> bool:
    """Whether this high water was announced before; without a state file nothing was."""
    if not state_file.exists():
        return False
    return f"{alert.station}/{alert.when:%Y-%m-%dT%H}" in json.loads(state_file.read_text())
