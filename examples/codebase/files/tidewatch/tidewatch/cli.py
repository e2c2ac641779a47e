"""The command line: `python -m tidewatch.cli predict --station harwich --hours 24`."""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tidewatch.alerts import should_alert
from tidewatch.extremes import high_waters
from tidewatch.harmonics import height_m, load_stations


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tidewatch")
    parser.add_argument("command", choices=["predict", "check"])
    parser.add_argument("--station", required=True)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--surge", type=float, default=0.0, help="storm surge in metres")
    return parser.parse_args()


def main() -> None:
    """Print the high waters to come, those that flood the quay with a mark."""
    arguments = parse_arguments()
    station = load_stations(Path("data/stations.json"))[arguments.station]
    start = datetime.now(UTC)
    end = start + timedelta(hours=arguments.hours)
    for when in high_waters(lambda moment: height_m(station, moment), start, end):
        water = height_m(station, when)
        mark = " FLOOD" if should_alert(water, station.quay_height_m, arguments.surge) else ""
        print(f"{when:%Y-%m-%d %H:%M} {water:.2f} m{mark}")


if __name__ == "__main__":
    main()
