"""What a model has said for a job so far: one that is begun again, after a crash or while a server was away, goes on
from there. It is kept beside the files of the project until the job has ended."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from rag.extraction.run import Ask
from state.cloud.blobs import CloudFiles, write_whole
from workers.cloud.drafts import drop_abandoned

FOLDER = "answers"


class KeptAnswers:
    def __init__(self, files: CloudFiles, job_id: str, ask: Ask) -> None:
        self._root = files.folder(FOLDER)
        self._folder = files.folder(FOLDER, job_id)
        self._ask = ask

    def ask(self, instruction: str, text: str, schema: Mapping[str, Any]) -> str:
        """As the model does; the same question is asked once."""
        question = orjson.dumps([instruction, text, schema], option=orjson.OPT_SORT_KEYS)
        path = self._folder / hashlib.sha256(question).hexdigest()
        try:
            return path.read_text(encoding="utf-8")
        except FileNotFoundError:
            answer = self._ask(instruction, text, schema)
        write_whole(path, lambda draft: _write(draft, answer))
        return answer

    def drop(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def drop_abandoned(self) -> None:
        """What a job that was cancelled between two tries has left."""
        drop_abandoned(self._root)


def _write(path: Path, answer: str) -> None:
    path.write_bytes(answer.encode("utf-8", "replace"))
