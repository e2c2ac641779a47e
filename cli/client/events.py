"""What `lf events` shows."""

import json
from typing import Any

from cli.client.api import segment
from cli.client.caller import Caller


def print_list(lf: Caller, params: dict[str, Any]) -> None:
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/event_logs", **params)
    entries = found.get("events") or []
    rows = [
        (each.get("event_id"), _kind(each), each.get("timestamp"), each.get("status"), _ms(each)) for each in entries
    ]

    def show() -> None:
        lf.out.table(("EVENT", "TYPE", "TIME", "STATUS", "TOOK"), rows)
        lf.out.note(f"{len(entries)} of {found.get('total', len(entries))}")

    lf.out.result(found, show)


def print_event(lf: Caller, event_id: str) -> None:
    with lf.api() as api:
        found = api.get(f"{lf.project().path}/event_logs/{segment(event_id)}")

    def show() -> None:
        lf.out.fields(
            [
                ("event", found.get("event_id")),
                ("type", _kind(found)),
                ("time", found.get("timestamp")),
                ("status", found.get("status")),
                ("request", found.get("request_id")),
                ("took", _ms(found)),
                ("error", found.get("error")),
            ]
        )
        for step in found.get("events") or found.get("sub_events") or []:
            data = json.dumps(step.get("data") or {}, ensure_ascii=False)
            lf.out.text(f"  {_ms(step):>10}  {step.get('event_name')}  {data}")

    lf.out.result(found, show)


def _kind(event: dict[str, Any]) -> Any:
    return event.get("event_type") or event.get("type")


def _ms(event: dict[str, Any]) -> str:
    value = next((event[key] for key in ("duration_ms", "total_elapsed_time_ms") if event.get(key) is not None), None)
    return f"{value:.1f} ms" if isinstance(value, int | float) else ""
