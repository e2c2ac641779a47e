"""Sums tidal constituents into a height above chart datum."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SPEED_DEG_PER_HOUR = {"M2": 28.984104, "S2": 30.0, "N2": 28.43973, "K1": 15.041069}
"""Angular speed of each constituent; the same at every station."""
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Constituent:
    name: str
    amplitude_m: float
    phase_deg: float


@dataclass(frozen=True)
class Station:
    name: str
    mean_level_m: float
    quay_height_m: float
    constituents: tuple[Constituent, ...]


class DuplicateStation(ValueError):
    """Two entries of the stations file have one name."""


def load_stations(path: Path) -> dict[str, Station]:
    """Read the stations file; raises DuplicateStation when a name appears twice."""
    found: dict[str, Station] = {}
    for entry in json.loads(path.read_text())["stations"]:
        if entry["name"] in found:
            raise DuplicateStation(entry["name"])
        parts = tuple(Constituent(**part) for part in entry["constituents"])
        found[entry["name"]] = Station(entry["name"], entry["mean_level_m"], entry["quay_height_m"], parts)
    return found


def height_m(station: Station, when: datetime) -> float:
    """The predicted height at `when`, in metres above chart datum."""
    hours = (when - EPOCH).total_seconds() / 3600
    waves = (
        part.amplitude_m * math.cos(math.radians(SPEED_DEG_PER_HOUR[part.name] * hours - part.phase_deg))
        for part in station.constituents
    )
    return station.mean_level_m + sum(waves)
