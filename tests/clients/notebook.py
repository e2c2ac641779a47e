"""Runs code as a notebook does: `python notebook.py`, a JSON text with a block on each line, one answer for each."""

import contextlib
import io
import json
import sys
import traceback
from typing import Any

names: dict[str, Any] = {"__name__": "__main__"}
for line in sys.stdin:
    said, error = io.StringIO(), None
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(json.loads(line), "<block>", "exec"), names)
        except Exception:  # noqa: BLE001  # told to who sent the block
            error = traceback.format_exc()
    print(json.dumps({"said": said.getvalue(), "error": error}), flush=True)
