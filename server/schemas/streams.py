"""How answers that come as server-sent events stand in the OpenAPI document."""

from typing import Any

EVENT_STREAM: dict[str, Any] = {
    "text/event-stream": {
        "itemSchema": {
            "type": "object",
            "required": ["data"],
            "properties": {"data": {"type": "string", "description": "A JSON document; the last one is `[DONE]`."}},
        }
    }
}
