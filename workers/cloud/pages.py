"""What jobs about pages share: the pages of a parsed file, and the project's own embedder for short texts."""

from config.loader import ProjectStore
from config.project import DatabaseConfig, ProjectConfig
from config.writing_model import WritingModel
from rag.chunkers.base import TokenCounter
from rag.embedders.base import Embedder
from rag.errors import BadRequestError, ConfigError
from rag.splitting.evidence import Embed
from rag.splitting.labels import Page
from rag.types import Document, Matrix
from state.cloud.jobs import CloudJob
from state.cloud.projects import CloudProjects
from workers.cloud.documents import parsed_document, parsed_key, stopped_with
from workers.cloud.registry import Next
from workers.runtime import Runtime

MAX_TOKENS = 256
"""Of a page or a category: what the first sentences say is enough to tell kinds of documents apart."""


def parse(runtime: Runtime, job: CloudJob) -> Next:
    """Leave the text of the file for the next stage."""
    file_hash, name = job.request["file_hash"], job.request["file_name"]
    with stopped_with(runtime, job):
        parsed_document(runtime, job.project_id, file_hash, name)
    return Next("embed", {"parsed": parsed_key(file_hash, name)})


def pages_of(document: Document) -> list[Page]:
    """All pages, those without text too; a file of a format without pages is one page."""
    if not document.pages:
        return [Page(1, document.text)]
    texts = {span.page: document.text[span.start : span.end] for span in document.pages}
    count = max(document.page_count or 0, *texts)
    return [Page(number, texts.get(number, "")) for number in range(1, count + 1)]


def project_of(runtime: Runtime, job: CloudJob) -> ProjectConfig:
    return CloudProjects(ProjectStore(runtime.settings)).load(job.project_id)


def writing_model(runtime: Runtime, project: ProjectConfig) -> WritingModel | None:
    """The project's default model, if it can write."""
    try:
        return WritingModel.of(project, runtime.assembly.models(project))
    except BadRequestError:
        return None


def embedding_of(runtime: Runtime, project: ProjectConfig) -> Embed:
    """By the project's default embedding strategy.

    Raises:
        ConfigError: it has none.
    """
    embedder = _embedder(runtime, project)
    counter = embedder.token_counter

    def embed(texts: list[str]) -> Matrix:
        return embedder.embed_documents([_cut(text, counter) for text in texts])

    return embed


def _embedder(runtime: Runtime, project: ProjectConfig) -> Embedder:
    components = project.rag.components if project.rag else None
    strategies = components.embedding_strategies if components else []
    wanted = components.defaults.embedding_strategy if components else None
    chosen = next((each for each in strategies if wanted in (None, each.name)), None)
    if chosen is None:
        raise ConfigError(
            f"the project {project.namespace}/{project.name} has no embedding strategy: add one under "
            "rag.components.embedding_strategies of its llamafarm.yaml"
        )
    entry = {"name": "pages", "type": "MemoryStore", "embedding_strategies": [chosen.model_dump()]}
    return runtime.assembly.embedder(DatabaseConfig.model_validate(entry))


def _cut(text: str, counter: TokenCounter) -> str:
    most = min(counter.max_tokens, MAX_TOKENS)
    spans = counter.spans(text)
    return text if len(spans) <= most else text[: spans[most - 1][1]]
