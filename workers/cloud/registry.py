"""Which function does which step of which kind of job: `kind/stage` → `module:function`.

A stage says whose worker does the step: `parse` has no model and is bounded in time and memory (files of strangers are
opened there), `embed` has the embedding models, `ask` waits for language models and other servers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, TypeAlias

from rag.errors import NotFoundError
from state.cloud.jobs import CloudJob, JobState

STEPS: Mapping[str, str] = {
    "classify/parse": "workers.cloud.pages:parse",
    "classify/embed": "workers.cloud.classify:weigh",
    "classify/ask": "workers.cloud.classify:ask",
    "classify_v2/parse": "workers.cloud.pages:parse",
    "classify_v2/embed": "workers.cloud.classify:weigh",
    "classify_v2/ask": "workers.cloud.classify:ask",
    "extract/parse": "workers.cloud.extract:parse",
    "extract/ask": "workers.cloud.extract:read",
    "extraction/parse": "workers.cloud.extract:parse",
    "extraction/ask": "workers.cloud.extract:read",
    "extract_schema/parse": "workers.cloud.extract:parse",
    "extract_schema/ask": "workers.cloud.extract:suggest",
    "sheets/parse": "workers.cloud.sheets:parse",
    "split/parse": "workers.cloud.pages:parse",
    "split/embed": "workers.cloud.split:weigh",
    "split/ask": "workers.cloud.split:ask",
    "index_fields/parse": "workers.cloud.index_fields:parse",
    "index_fields/ask": "workers.cloud.index_fields:read",
    "parse/parse": "workers.cloud.parse:parse",
    "webhook/ask": "workers.cloud.hooks:tell",
    "sync/ask": "workers.cloud.sync:sync",
    "drop/ask": "workers.cloud.sync:drop",
}


@dataclass(frozen=True, slots=True)
class Done:
    """The job ends. `error` says why where it failed, or failed in part; `afterwards` is called once that is kept:
    until then the step may have to run again."""

    result: Mapping[str, Any] | None = None
    state: JobState = "completed"
    error: str | None = None
    afterwards: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Next:
    """The next step is another worker's; `progress` is kept for it."""

    stage: str
    progress: Mapping[str, Any] = field(default_factory=dict)


Outcome: TypeAlias = Done | Next
Step: TypeAlias = Callable[[Any, CloudJob], Outcome]
"""(Runtime, job) → what follows. Raises RagError when the job cannot succeed, UpstreamError when trying again may
help, CancelledTaskError when it is not wanted any more. May run twice for one job."""


@cache
def step(kind: str, stage: str) -> Step:
    place = STEPS.get(f"{kind}/{stage}")
    if place is None:
        raise NotFoundError(f"no step '{stage}' of job kind '{kind}' is known to this version")
    module, _, name = place.partition(":")
    found: Step = getattr(import_module(module), name)
    return found
