"""Lengths: charts of some ports are still in feet and fathoms."""

METRES_PER_FOOT = 0.3048
FEET_PER_FATHOM = 6


def metres_to_feet(metres: float) -> float:
    """Convert a length in metres to feet."""
    return metres / METRES_PER_FOOT


def fathoms_to_metres(fathoms: float) -> float:
    """Convert a depth in fathoms to metres."""
    return fathoms * FEET_PER_FATHOM * METRES_PER_FOOT
