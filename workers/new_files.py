"""What a new task is to do for each file: which generation it writes, and whether there is anything to do at all."""

import json
from collections.abc import Mapping
from typing import Any

from config.overrides import OVERRIDES, ParserOverrides, check_against, overridden, overrides_of
from config.processing import fingerprints, forced, generation_name, same_chunks
from config.rag_section import DatabaseConfig, DataProcessingStrategy
from rag.errors import BadRequestError
from state.file_names import StoredFile
from state.generations import LiveFile
from state.task_rows import NewFile


class NewFiles:
    """Makes the files of one task.

    Args:
        overrides: instead of those that came with the files; None: those.
        mark: of a task that writes everything anew; None: what is unchanged is left alone.

    Raises:
        BadRequestError: an override does not go with the strategy.
    """

    def __init__(
        self,
        strategy: DataProcessingStrategy,
        database: DatabaseConfig,
        *,
        overrides: ParserOverrides | None,
        mark: str | None,
    ) -> None:
        check_against(overrides, strategy)
        self._strategy = strategy
        self._database = database
        self._overrides = overrides
        self._mark = mark
        self._fingerprints: dict[str, str] = {}

    def make(self, file: StoredFile, live: LiveFile | None, *, has_bytes: bool) -> NewFile:
        """A file without bytes is never unchanged: the task says that they are missing."""
        given = file.parser_overrides if self._overrides is None else self._overrides
        overrides = overrides_of(given, self._strategy, file.original_file_name)
        details: dict[str, Any] = {OVERRIDES: overrides} if overrides else {}
        places = (self._database.place, *self._database.former_places)
        names = [generation_name(file.hash, self._fingerprint(overrides, place)) for place in places]
        generation = names[0]
        if self._mark is not None:
            generation = forced(generation, self._mark)
        elif has_bytes and live is not None and any(self._is_live(live, name) for name in names):
            return NewFile(file.hash, file.original_file_name, live.generation or generation, live.chunk_count, details)
        return NewFile(file.hash, file.original_file_name, generation, details=details)

    def _is_live(self, live: LiveFile, generation: str) -> bool:
        return live.database == self._database.name and same_chunks(live.generation, generation)

    def _fingerprint(self, overrides: Mapping[str, Mapping[str, Any]], place: str) -> str:
        """Kept: ten thousand files have a few sets of options."""
        key = json.dumps([overrides, place], sort_keys=True)
        if key not in self._fingerprints:
            try:
                strategy = overridden(self._strategy, overrides)
            except BadRequestError:  # the strategy changed since the upload: the file fails in its stage and says so
                strategy = self._strategy
            embedding = self._database.embedding_strategy_in_use()
            self._fingerprints[key] = fingerprints(strategy, embedding, place)[0]
        return self._fingerprints[key]
