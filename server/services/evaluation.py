"""Starts evaluations: whatever is wrong with one is told before its task is made."""

from typing import Any, Protocol

from config.evaluation import CURRENT, MAX_CONFIGURATIONS, read_cut, read_strategies
from config.loader import ProjectStore
from config.project import ProjectConfig
from config.settings import Settings
from rag.errors import BadRequestError, InvalidInputError, LimitExceededError
from rag.evaluation.datasets import read_question
from server.schemas.evaluation import EvaluationRequest, Synthetic
from state.contents import DatabaseContents

MAX_WRITTEN = 100
"""Questions that a model writes for one evaluation."""


class EvaluationStarter(Protocol):
    """The part of `workers.dispatch.Dispatcher` that starts an evaluation."""

    def start_evaluation(
        self,
        *,
        namespace: str,
        project: str,
        database: str,
        config: ProjectConfig,
        request: dict[str, Any],
        request_id: str | None,
    ) -> str: ...


class EvaluationService:
    def __init__(
        self, projects: ProjectStore, contents: DatabaseContents, dispatcher: EvaluationStarter, settings: Settings
    ) -> None:
        self._projects = projects
        self._contents = contents
        self._dispatcher = dispatcher
        self._settings = settings

    def start(
        self, namespace: str, project: str, wanted: EvaluationRequest, request_id: str | None
    ) -> tuple[str, int, int]:
        """(id of the task, questions, configurations).

        Raises:
            NotFoundError: no such project, database, strategy, chunking or model.
            InvalidInputError: a question is not of the form; names its place and field.
            LimitExceededError: more questions or chunks than the server takes.
            BadRequestError: nothing to search, or more configurations than `MAX_CONFIGURATIONS`.
            OverloadedError: too many evaluations are under way.
        """
        config = self._projects.load(namespace, project)
        database = config.database(wanted.database)
        strategies = read_strategies(wanted.strategies, config, database)
        cuts = dict.fromkeys([CURRENT, *wanted.chunkings])
        for name in cuts:
            read_cut(name, config)
        count = len(strategies) * len(cuts)
        if count > MAX_CONFIGURATIONS:
            raise BadRequestError(
                f"{len(strategies)} strategies x {len(cuts)} chunkings are {count} configurations; at most "
                f"{MAX_CONFIGURATIONS} are compared at once (what is in use counts)"
            )
        question_count = self._check_questions(wanted, config)
        self._check_chunks(config, database.name, is_cut=len(cuts) > 1)
        task_id = self._dispatcher.start_evaluation(
            namespace=namespace,
            project=project,
            database=database.name,
            config=config,
            request={**wanted.model_dump(mode="json", exclude={"database"}), "k": sorted(set(wanted.k))},
            request_id=request_id,
        )
        return task_id, question_count, count

    def _check_questions(self, wanted: EvaluationRequest, config: ProjectConfig) -> int:
        given = len(wanted.questions or []) or (wanted.synthetic.count if wanted.synthetic else 0)
        limit = self._settings.eval_max_questions
        if given > limit:
            raise LimitExceededError(f"{given} questions; at most {limit} are asked at once (LF_EVAL_MAX_QUESTIONS)")
        if not given:
            raise InvalidInputError("questions is empty")
        for at, raw in enumerate(wanted.questions or []):
            read_question(raw, f"questions[{at}]", str(at + 1))
        if wanted.synthetic and wanted.synthetic.model is not None:
            _check_model(wanted.synthetic, config)
        return given

    def _check_chunks(self, config: ProjectConfig, database: str, *, is_cut: bool) -> None:
        files = self._contents.files(config.namespace, config.name, database)
        chunk_count = sum(file.chunk_count for file in files)
        if not chunk_count:
            raise BadRequestError(f"database '{database}' holds no chunks yet: process a dataset into it first")
        limit = self._settings.eval_max_chunks
        if is_cut and chunk_count > limit:
            raise LimitExceededError(
                f"database '{database}' holds {chunk_count:,} chunks; chunkings are compared in memory, up to "
                f"{limit:,} chunks (LF_EVAL_MAX_CHUNKS). Without chunkings there is no such limit"
            )


def _check_model(wanted: Synthetic, config: ProjectConfig) -> None:
    model = config.model(wanted.model)
    if model.provider == "extractive":
        raise BadRequestError(
            f"model '{model.name}' quotes documents and writes no questions; name another model, or none"
        )
    if wanted.count > MAX_WRITTEN:
        raise LimitExceededError(f"synthetic.count = {wanted.count}: a model writes at most {MAX_WRITTEN} questions")
