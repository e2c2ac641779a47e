"""A question that leans on what was said before ("and how much is it?"), rewritten so that it stands alone."""

from dataclasses import replace

from pydantic import Field

from rag.asking import MAX_DATA_CHARS, MAX_QUERY_CHARS, AskingOptions, ask, clean_text, text_schema
from rag.embedders.base import Embedder
from rag.errors import UpstreamError
from rag.retrievers.base import Query, Retriever
from rag.retrievers.models import Models
from rag.transforms.base import Transformed

TASK = (
    "Rewrite `question` so that it can be understood without `conversation`: put in what its pronouns and omissions "
    "refer to, add nothing else. One that stands alone already is given back as it is: "
    '{"question": "…"}.'
)
MESSAGE_CHARS = 1_500


class Conversational:
    """Without a conversation before it, a question is left as it is and no model is asked."""

    class Options(AskingOptions):
        max_messages: int = Field(6, ge=1, le=40, description="Messages of the conversation that the model is shown.")

    def __init__(self, options: Options, *, models: Models, embedder: Embedder, retriever: Retriever) -> None:
        self._options = options
        self._models = models

    def transform(self, query: Query) -> Transformed:
        options = self._options
        if not query.history:
            return Transformed((query,))
        shown = [{"role": role, "text": text[:MESSAGE_CHARS]} for role, text in query.history[-options.max_messages :]]
        data = {"conversation": shown, "question": query.text[:MAX_DATA_CHARS]}
        answer = ask(self._models, options, query, TASK, data, text_schema("question"))
        question = clean_text(answer.get("question"), max(MAX_QUERY_CHARS, len(query.text)))
        if not question:
            raise UpstreamError(f"{options.model_shown} gave no text under 'question'")
        return Transformed((replace(query, text=question, words=None, vector=None),))
