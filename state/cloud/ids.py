"""Ids of what clients make. They hold no meaning: a client treats each as an opaque text."""

import uuid

NAMESPACE = "llamacloud"
"""Of the LlamaFarm projects that stand behind LlamaCloud's."""
DEFAULT_PROJECT_ID = "5d0c9f5e-7a3b-4c1e-9f52-7061646f636b"
DEFAULT_ORGANIZATION_ID = "0a6f2f0e-3b1d-4e8a-8c55-7061646f636b"
USER_ID = "2f8f5c0a-91d4-4b7e-a0a4-7061646f636b"
"""There is one user: who holds the key."""

PREFIXES = {
    "index": "idx-",
    "session": "ses-",
    "directory": "dir-",
    "directory_file": "dfl-",
    "configuration": "cfg-",
    "batch": "bjb-",
    "batch_v2": "bat-",
    "parse": "pjb-",
    "sheets": "",
    "split": "spl-",
    "export": "exp-",
    "sync": "syn-",
}
"""Everything else has a plain UUID."""


def new_id(kind: str = "") -> str:
    return f"{PREFIXES.get(kind, '')}{uuid.uuid4()}"


def database_name(kind: str, object_id: str) -> str:
    """The LlamaFarm database and dataset behind an index or a pipeline: small letters, digits and `_`."""
    name = object_id.lower().replace("-", "_")
    return name if name.startswith("idx_") else f"{kind}_{name}"
