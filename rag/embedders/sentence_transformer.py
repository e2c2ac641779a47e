"""Embeds in this process with a model of the sentence-transformers format."""

import threading
from functools import lru_cache
from typing import Any

import numpy as np
import structlog
from pydantic import AliasChoices, Field, SecretStr

from rag.chunkers.base import TokenCounter
from rag.embedders.bert_files import read_shape
from rag.embedders.checks import checked, require_dimension
from rag.embedders.encoders import Encoder, SentenceTransformerEncoder, batches_by_length
from rag.embedders.hardware import Precision, choose_device, choose_precision
from rag.embedders.options import EmbedderOptions, secret_text
from rag.embedders.weights import DEFAULT_MODEL, ModelFiles, locate, token_counter_for, weights_digest
from rag.errors import EmbeddingError
from rag.types import Matrix, Vector

log = structlog.get_logger(__name__)

_SMALLEST_SHARE_TOKENS = 48  # below, splitting a batch between cores costs more than it saves
_load_lock = threading.Lock()


class SentenceTransformerEmbedder:
    """Runs the model on this machine's CPU or GPU; one loaded copy serves every embedder of the process.

    A document above the model's window is refused with EmbeddingError, never cut: chunkers measure in the same
    tokens. A query above the window is cut to it.
    """

    class Options(EmbedderOptions):
        model: str = Field(
            DEFAULT_MODEL,
            validation_alias=AliasChoices("model", "model_name"),
            description="Hugging Face name, or a folder (absolute, or starting with `.` or `~`).",
        )
        device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto: the best one present.")
        precision: Precision = Field("auto", description="auto: half precision where the hardware multiplies in it.")
        batch_size: int = Field(256, gt=0, le=4096, description="Texts per forward pass, at most.")
        max_batch_tokens: int | None = Field(None, gt=0, description="Tokens per forward pass, padding included.")
        normalize: bool = Field(
            True,
            validation_alias=AliasChoices("normalize", "normalize_embeddings"),
            description="Accepted for existing files; vectors always have unit length.",
        )
        hf_token: SecretStr | None = Field(None, description="For a private model; default: LF_HF_TOKEN.")
        show_progress_bar: bool = Field(False, description="Accepted for existing files; has no effect.")

    def __init__(self, options: Options) -> None:
        self._files = locate(options.model, secret_text(options.hf_token))
        device = choose_device(options.device)
        with _load_lock:
            self._encoder = _load(self._files, device, choose_precision(options.precision, device))
        require_dimension(options.dimension, self._encoder.dimension, options.model)
        self.model_id = self._files.model_id
        self._counter = self.counter(options)
        self._tokenizer = _tokenizer(self._files)
        self._max_batch_texts = options.batch_size
        self._max_batch_tokens = options.max_batch_tokens or (2048 if device == "cpu" else 65536)

    @staticmethod
    def counter(options: Options) -> TokenCounter:
        return token_counter_for(options.model, secret_text(options.hf_token))

    def cache_scope(self, project: str) -> str:
        return f"weights {weights_digest(self._files)}"

    @property
    def dimension(self) -> int:
        return self._encoder.dimension

    @property
    def token_counter(self) -> TokenCounter:
        return self._counter

    def embed_documents(self, texts: list[str]) -> Matrix:
        prompt = self._files.document_prompt
        token_ids = self._token_ids([prompt + text for text in texts] if prompt else texts)
        for position, ids in enumerate(token_ids):
            if len(ids) > self._files.window:
                raise EmbeddingError(
                    f"text {position} has {len(ids)} tokens; model '{self.model_id}' takes {self._files.window} "
                    "(special tokens included in both): use smaller chunks"
                )
        return self._encode(token_ids)

    def embed_query(self, text: str) -> Vector:
        """Embed a question; what is above the window is cut off."""
        vector: Vector = self.embed_queries([text])[0]
        return vector

    def embed_queries(self, texts: list[str]) -> Matrix:
        """Embed the questions of several callers together."""
        window = self._files.window
        token_ids = self._token_ids([self._files.query_prompt + text for text in texts])
        # The last id is the closing special token of the models that have one.
        return self._encode([ids if len(ids) <= window else [*ids[: window - 1], ids[-1]] for ids in token_ids])

    def embed_tokens(self, texts: list[str]) -> list[Matrix]:
        """The vector of each token in its context: unit rows, special tokens left out; what is above the window is cut.

        Texts are computed in the order of their lengths, as many at once as fit a batch.
        """
        window = self._files.window
        token_ids = [ids if len(ids) <= window else [*ids[: window - 1], ids[-1]] for ids in self._token_ids(texts)]
        matrices: list[Matrix] = [np.empty((0, self.dimension), np.float32)] * len(texts)
        batches = batches_by_length(
            [len(ids) for ids in token_ids],
            max_batch_tokens=self._max_batch_tokens,
            max_batch_texts=self._max_batch_texts,
        )
        for positions in batches:
            rows = self._encoder.encode_tokens([token_ids[position] for position in positions])
            for position, matrix in zip(positions, rows, strict=True):
                inner = matrix[1:-1]  # the opening and the closing token stand for the whole text
                lengths = np.linalg.norm(inner, axis=1, keepdims=True)
                matrices[position] = np.asarray(inner / np.maximum(lengths, np.finfo(np.float32).tiny), np.float32)
        return matrices

    def close(self) -> None:
        """Nothing to release: the model is shared by the process."""

    def _token_ids(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast([_valid(text) for text in texts])]

    def _encode(self, token_ids: list[list[int]]) -> Matrix:
        vectors = np.empty((len(token_ids), self.dimension), dtype=np.float32)
        lengths = [len(ids) for ids in token_ids]
        fair_share = max(_SMALLEST_SHARE_TOKENS, -(-sum(lengths) // self._encoder.parallel_count))
        batches = list(
            batches_by_length(
                lengths,
                max_batch_tokens=min(self._max_batch_tokens, fair_share),
                max_batch_texts=self._max_batch_texts,
            )
        )
        results = self._encoder.encode([[token_ids[position] for position in batch] for batch in batches])
        for positions, rows in zip(batches, results, strict=True):
            vectors[positions] = rows
        return checked(vectors, self.dimension)


def _valid(text: str) -> str:
    """Replace lone surrogates, which the tokenizer refuses."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@lru_cache(maxsize=8)
def _load(files: ModelFiles, device: str, precision: str) -> Encoder:
    shape = read_shape(files.folder)
    if shape is not None and device == "cpu" and precision != "fp16":
        from rag.embedders.bert import BertEncoder

        try:
            return BertEncoder(files.folder, shape, precision)
        except (AttributeError, RuntimeError, EmbeddingError) as error:
            log.warning("embedder.general_path", model=files.model_id, reason=str(error))
    return SentenceTransformerEncoder(str(files.folder), device, precision)


@lru_cache(maxsize=8)
def _tokenizer(files: ModelFiles) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(files.tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
