"""An evaluation, in the worker that has the embedding model. It writes nothing but its result.

Chunks that are cut anew live in this process's memory: they are gone with it, however it ends. A process that dies
loses the lease, and the evaluation begins again elsewhere; one that has taken two processes with it is given up.
"""

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import structlog

from config.assemble import Assembly
from config.evaluation import CURRENT, Cut, TrialAssembly, read_cut, read_strategies, snippet
from config.loader import ProjectStore
from config.project import ProjectConfig
from config.rag_section import DatabaseConfig
from rag.embedders.vector_cache import CachedEmbedder
from rag.errors import BadRequestError, CancelledTaskError, UpstreamError
from rag.evaluation import synthetic
from rag.evaluation.datasets import read_question
from rag.evaluation.questions import PassageSearch, Question, Target, missing_files, names_of
from rag.evaluation.report import FEW_QUESTIONS, configuration, recommend
from rag.evaluation.run import PRIMARY, Configuration, Cutting, Outcome, measures, run
from rag.retrievers import retrievers
from rag.retrievers.base import Retriever
from rag.stores.memory import MemoryStore
from rag.stores.options import StoreOptions
from state.contents import DatabaseContents
from state.evaluations import EvaluationStore
from state.task_rows import ClaimedFile
from workers.runtime import Runtime
from workers.trial_chunks import BATCH, TrialChunks, sample_passages

MAX_CRASHES = 2
REPORT_INTERVAL_S = 0.5
ASK_TIMEOUT_S = 60.0
WRITING_S = 900.0
"""A model that is slower gets fewer questions written, which the result says."""
SHOWN_MISSING = 5

log = structlog.get_logger(__name__)


def run_evaluation(runtime: Runtime, claimed: ClaimedFile) -> None:
    """Ask all questions of all configurations and keep the report."""
    if claimed.crashes >= MAX_CRASHES:
        error = f"the evaluation ended {claimed.crashes} worker processes and is not tried again; see the worker's log"
        runtime.tasks.end(claimed.id, claimed.owner, "failed", error=error, reason="crashed")
        return
    kept = EvaluationStore(runtime.database)
    wanted = kept.request(claimed.task_id)
    if wanted is None:
        raise BadRequestError("what the evaluation was asked for is not there any more; start it again")
    result = _Evaluation(runtime, claimed, wanted).result()
    if not kept.finish(claimed.id, claimed.owner, claimed.task_id, result):
        raise CancelledTaskError("Task cancelled")


class Progress:
    """Steps done of those there are; looks now and then whether the task goes on."""

    def __init__(self, runtime: Runtime, claimed: ClaimedFile) -> None:
        self._runtime, self._claimed = runtime, claimed
        self._last = time.monotonic() - REPORT_INTERVAL_S
        self.total = self.base = 0

    def at(self, done: int, message: str) -> None:
        """`done` counts from `base`. Raises CancelledTaskError."""
        if time.monotonic() - self._last < REPORT_INTERVAL_S:
            return
        self._last = time.monotonic()
        values = {"stored_count": min(self.total, self.base + done), "chunk_count": self.total}
        details = {**self._claimed.details, "message": message}
        if not self._runtime.tasks.report(self._claimed.id, self._claimed.owner, **values, details=details):
            raise CancelledTaskError("Task cancelled")


class _Evaluation:
    def __init__(self, runtime: Runtime, claimed: ClaimedFile, wanted: dict[str, Any]) -> None:
        self._runtime, self._wanted = runtime, wanted
        self._place = (claimed.namespace, claimed.project)
        # As it is now, with its models: the copy in the task has none, so that keys are not stored twice.
        self._config: ProjectConfig = ProjectStore(runtime.settings).load(*self._place)
        self._database: DatabaseConfig = self._config.database(claimed.database)
        self._files = DatabaseContents(runtime.database).files(*self._place, self._database.name)
        self._store = runtime.assembly.store(*self._place, self._database)
        self._progress = Progress(runtime, claimed)
        self._warnings: dict[str, None] = {}

    def result(self) -> dict[str, Any]:
        names = read_strategies(self._wanted["strategies"], self._config, self._database)
        cuts = [read_cut(each, self._config) for each in dict.fromkeys([CURRENT, *self._wanted["chunkings"]])]
        seed = int((self._wanted.get("synthetic") or {}).get("seed", 0))
        passages = sample_passages(self._store, self._files, seed)
        questions = self._questions(passages)
        chunk_count = sum(file.chunk_count for file in self._files)
        self._progress.total = len(names) * len(cuts) * len(questions) + (len(cuts) - 1) * chunk_count
        mean_chars = sum(len(each.text) for each in passages) / max(1, len(passages))
        current = Cutting(CURRENT, chunk_count, mean_chars, is_temporary=False)

        def asked(each: Configuration, number: int) -> None:
            self._progress.at(number, f"asking '{each.strategy}' over '{each.cutting.name}'")
            if number == len(questions):
                self._progress.base += number

        outcomes = run(self._configurations(names, cuts, current), questions, self._wanted["k"], asked)
        self._warn_of_unheld(outcomes, questions)
        return self._report(outcomes, cuts, questions)

    # -- questions ------------------------------------------------------------------------------------------

    def _questions(self, passages: list[synthetic.Passage]) -> list[Question]:
        wanted = self._wanted.get("synthetic")
        if wanted is None:
            given = enumerate(self._wanted["questions"])
            questions = [read_question(raw, f"questions[{at}]", str(at + 1)) for at, raw in given]
            self._warn_of_missing(questions)
        elif wanted.get("model"):
            questions = self._written(passages, wanted)
        else:
            questions = synthetic.held_out_questions(passages, wanted["count"], wanted["seed"])
            self._warn(
                "the questions are words of the text itself: they compare ways to cut files, and flatter searching by "
                "words; ask people's own questions before changing how is searched"
            )
        if not questions:
            raise BadRequestError(
                f"database '{self._database.name}' holds no sentence that a question could be made of; give questions"
            )
        if wanted is not None and len(questions) < wanted["count"]:
            self._warn(f"only {len(questions)} of {wanted['count']} questions could be made")
        if len(questions) < FEW_QUESTIONS:
            self._warn(f"{len(questions)} questions tell little: differences have to be large to be more than chance")
        return questions

    def _written(self, passages: list[synthetic.Passage], wanted: dict[str, Any]) -> list[Question]:
        models, name, started = self._runtime.assembly.models(self._config), str(wanted["model"]), time.monotonic()
        texts: list[Question] = []

        def ask(instruction: str, question: str) -> str:
            if time.monotonic() - started > WRITING_S:
                return ""
            return models.ask(name, instruction, question, timeout_s=ASK_TIMEOUT_S)

        def written(count: int) -> None:
            self._progress.at(0, f"'{name}' has written {count} of {wanted['count']} questions")

        try:
            texts = synthetic.written_questions(passages, wanted["count"], wanted["seed"], ask, written)
        except UpstreamError as error:  # not tried again: what was written would be paid for again
            raise BadRequestError(f"model '{name}' could not write the questions: {error.message}") from error
        return texts

    def _warn_of_missing(self, questions: list[Question]) -> None:
        known = [name for file in self._files for name in (file.filename, file.file_hash)]
        missing = missing_files(questions, known)
        if missing:
            shown = ", ".join(f"'{name[:80]}'" for name in missing[:SHOWN_MISSING])
            more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
            self._warn(f"expected files that database '{self._database.name}' does not hold: {shown}{more}")

    def _warn_of_unheld(self, outcomes: list[Outcome], questions: list[Question]) -> None:
        """Only chunks of what no configuration found are read for it."""
        deepest = f"recall@{max(self._wanted['k'])}"
        found = [
            max((each.values[deepest][at] for each in outcomes if each.values), default=1.0)
            for at in range(len(questions))
        ]
        known = set().union(*(names_of(file.filename, file.file_hash) for file in self._files))
        asked = {
            target: question
            for question, recall in zip(questions, found, strict=True)
            for target in question.targets
            if recall < 1 and target.passage and (target.file is None or target.file in known)
        }
        search = PassageSearch(asked)
        for file in self._files:
            names = names_of(file.filename, file.file_hash)
            if search.wants(names):
                for batch in self._store.upkeep.batches(file.pair, BATCH):
                    self._progress.at(0, "looking for the passages that were not found")
                    for record in batch:
                        search.show(names, record.text)
        if search.left:
            shown = "; ".join(_said(asked[each], each) for each in search.left[:SHOWN_MISSING])
            more = f"; and {len(search.left) - SHOWN_MISSING} more" if len(search.left) > SHOWN_MISSING else ""
            self._warn(
                f"passages that stand in no file of database '{self._database.name}', so that nothing can find them: "
                f"{shown}{more}. Quote them as the files' text has them"
            )

    def _warn(self, sentence: str) -> None:
        self._warnings[sentence] = None

    # -- configurations -------------------------------------------------------------------------------------

    def _configurations(self, names: list[str], cuts: list[Cut], current: Cutting) -> Iterator[Configuration]:
        """One chunking after the other, so that the chunks of one are held at a time."""
        assembly = self._runtime.assembly
        for cut in cuts:
            if cut.name == CURRENT:
                yield from self._over(assembly, names, current)
                continue
            found = assembly.embedder(self._database)
            embedder = CachedEmbedder(found, self._runtime.vectors, project="/".join(self._place))
            chunks = TrialChunks(self._runtime, self._config, self._database, self._files)
            store = MemoryStore(StoreOptions(), identity=self._store.identity)
            try:
                cutting = chunks.write(cut, store, embedder, self._store, self._progress)
                for warning in chunks.warnings:
                    self._warn(warning)
                trial = TrialAssembly(self._runtime.settings, lambda pairs: pairs, assembly, store)
                yield from self._over(trial, names, cutting)
            finally:
                store.drop()
                store.close()

    def _over(self, assembly: Assembly, names: list[str], cutting: Cutting) -> Iterator[Configuration]:
        for name in names:
            yield Configuration(name, cutting, partial(self._open, assembly, name))

    def _open(self, assembly: Assembly, name: str) -> Retriever:
        return assembly.retriever(self._config, self._database, name)[1]

    # -- the result -----------------------------------------------------------------------------------------

    def _report(self, outcomes: list[Outcome], cuts: list[Cut], questions: list[Question]) -> dict[str, Any]:
        wanted = self._wanted.get("synthetic")
        source = "given" if wanted is None else ("model" if wanted.get("model") else "sentences")
        unfair = frozenset(
            at for at, each in enumerate(outcomes) if source == "sentences" and self._is_words_only(each)
        )
        return {
            "message": f"{len(questions)} questions, {len(outcomes)} configurations",
            "namespace": self._place[0],
            "project": self._place[1],
            "database": self._database.name,
            "question_count": len(questions),
            "question_source": source,
            "primary": PRIMARY,
            "measures": measures(self._wanted["k"]),
            "configurations": [configuration(each, outcomes[0]) for each in outcomes],
            "recommendation": self._recommendation(outcomes, cuts, unfair),
            "warnings": list(self._warnings),
        }

    def _recommendation(
        self, outcomes: list[Outcome], cuts: list[Cut], unfair: frozenset[int]
    ) -> dict[str, Any] | None:
        verdict = recommend(outcomes, 0, excluded=unfair - {0})
        if verdict is None:
            return None
        chosen = outcomes[verdict.chosen]
        cut = next(each for each in cuts if each.name == chosen.cutting.name)
        reason = verdict.reason
        if unfair - {0}:
            reason += "; searching by words alone is not judged by questions made of the text's own words"
        return {
            "strategy": chosen.strategy,
            "chunking": chosen.cutting.name,
            "is_change": verdict.is_change,
            "reason": reason,
            "gain": round(verdict.gain, 4),
            "p_value": None if verdict.p_value is None else round(verdict.p_value, 4),
            "yaml": snippet(self._config, self._database, chosen.strategy, cut),
        }

    def _is_words_only(self, outcome: Outcome) -> bool:
        named = {each.name: each.type for each in self._database.retrieval_strategies}
        type_name = named.get(outcome.strategy, outcome.strategy)
        return type_name in retrievers and retrievers.canonical(type_name) == "BM25Retriever"


def _said(question: Question, target: Target) -> str:
    place = f" of '{target.file[:80]}'" if target.file else ""
    return f"'{(target.passage or '')[:80]}'{place} (question {question.id})"
