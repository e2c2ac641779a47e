"""A cross-encoder run in this process: a model that reads the question and one passage together."""

import json
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog
from pydantic import AliasChoices, Field, SecretStr

from rag.embedders.hardware import choose_device
from rag.embedders.options import secret_text
from rag.embedders.weights import INSTEAD, ModelFiles, is_held, is_path, locate
from rag.errors import InvalidInputError, UpstreamError
from rag.rerankers.base import RerankerOptions

if TYPE_CHECKING:
    from rag.embedders.base import Embedder
    from rag.retrievers.models import Models

DEFAULT_MODEL = "cross-encoder/ms-marco-MiniLM-L6-v2"
MAX_WINDOW = 512
"""Tokens of question and passage together that are read, at most: the cost grows with them."""
KEPT_MODELS = 2

log = structlog.get_logger(__name__)
_load_lock = threading.Lock()


class CrossEncoderReranker:
    """The model is loaded at the first question, which may be answered in the order of the search meanwhile.

    Weights are read from safetensors alone, and no code that comes with a model is run.
    """

    class Options(RerankerOptions):
        model: str = Field(
            DEFAULT_MODEL,
            validation_alias=AliasChoices("model", "model_path"),
            description="Hugging Face name, or a folder (absolute, or starting with `.` or `~`).",
        )
        device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto: the best one present.")
        batch_size: int = Field(16, gt=0, le=256, description="Passages per forward pass.")
        hf_token: SecretStr | None = Field(None, description="For a private model; default: LF_HF_TOKEN.")

    def __init__(self, options: Options, *, embedder: "Embedder", models: "Models") -> None:
        self._options = options

    @staticmethod
    def is_at_hand(options: Options) -> bool:
        """Whether the model is the default one, or one that this machine holds by its Hugging Face name."""
        return options.model == DEFAULT_MODEL or is_held(_full_name(options.model))

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        if not texts:
            return []
        ends_at = time.monotonic() + self._options.timeout_s
        model = self._loaded()
        scores = np.zeros(len(texts), dtype=np.float64)
        by_length = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
        for start in range(0, len(texts), self._options.batch_size):
            if time.monotonic() > ends_at:
                raise UpstreamError(f"it had read {start} of {len(texts)} passages after {self._options.timeout_s:g} s")
            positions = by_length[start : start + self._options.batch_size]
            scores[positions] = model.score([(query, texts[position]) for position in positions])
        if not np.isfinite(scores).all():
            raise UpstreamError(f"model '{self._options.model}' gave scores that are not finite")
        return [float(score) for score in scores]

    def _loaded(self) -> "_Model":
        options = self._options
        try:
            files = locate(_full_name(options.model), secret_text(options.hf_token))
        except UpstreamError as error:  # what it would use instead embeds, and cannot rerank
            raise UpstreamError(error.message.removesuffix(INSTEAD)) from error
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:  # a path or a file that is none
            raise InvalidInputError(f"model '{options.model[:200]}' cannot be read ({type(error).__name__})") from error
        device = choose_device(options.device)
        with _load_lock:
            return _load(files, device)


def _full_name(model: str) -> str:
    """A bare name belongs to the `cross-encoder` organisation."""
    return model if "/" in model or is_path(model) else f"cross-encoder/{model}"


class _Model:
    """One forward pass at a time: the tokenizer is not thread-safe, and a pass takes every core there is."""

    def __init__(self, files: ModelFiles, device: str) -> None:
        import torch
        from sentence_transformers import CrossEncoder

        started_at = time.monotonic()
        try:
            self._model = CrossEncoder(
                str(files.folder),
                device=device,
                max_length=min(files.window, MAX_WINDOW),
                local_files_only=True,
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
                activation_fn=torch.nn.Identity(),  # a sigmoid makes all good passages a 1
            )
        except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
            said = (str(error).splitlines() or [""])[0]
            raise InvalidInputError(f"model '{files.model_id}' cannot be loaded as a cross-encoder: {said}") from error
        self._name = files.model_id
        self._lock = threading.Lock()
        duration_s = round(time.monotonic() - started_at, 3)
        log.info("reranker.loaded", model=files.model_id, device=device, duration_s=duration_s)

    def score(self, pairs: list[tuple[str, str]]) -> Any:
        try:
            with self._lock:
                return self._model.predict(pairs, batch_size=len(pairs), show_progress_bar=False)
        except RuntimeError as error:  # out of memory, above all
            said = (str(error).splitlines() or [""])[0]
            raise UpstreamError(f"model '{self._name}' failed: {said}") from error


@lru_cache(maxsize=KEPT_MODELS)
def _load(files: ModelFiles, device: str) -> _Model:
    _require_one_score(files)
    return _Model(files, device)


def _require_one_score(files: ModelFiles) -> None:
    """Loading another kind of model would go well, with a head of random weights."""
    try:
        config = json.loads((files.folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"model '{files.model_id}' has no config.json that can be read") from error
    kinds = [str(each) for each in config.get("architectures") or ()]
    labels = (
        len(config.get("id2label") or {}) or config.get("num_labels") or 2
    )  # what transformers takes an absent number for
    if not any(kind.endswith("ForSequenceClassification") for kind in kinds):
        raise InvalidInputError(
            f"model '{files.model_id}' is no cross-encoder (architectures: {', '.join(kinds) or 'none'}); choose a "
            "reranker with a head for sequence classification"
        )
    if labels != 1:
        raise InvalidInputError(f"model '{files.model_id}' gives {labels} labels; a reranker gives one score")
