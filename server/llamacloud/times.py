"""Times on the wire: ISO 8601 in UTC."""

from datetime import UTC, datetime


def stamp(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def maybe_stamp(seconds: float | None) -> datetime | None:
    return None if seconds is None else stamp(seconds)


def seconds_of(moment: datetime | None) -> float | None:
    """One without a zone is taken for UTC."""
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
