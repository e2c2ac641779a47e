"""Models that turn token ids into one vector per text, and how texts are grouped for them."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from rag.types import Matrix


class Encoder(Protocol):
    """A loaded model. `encode` may be called from several threads."""

    dimension: int
    parallel_count: int
    """How many batches are computed at the same time."""

    def encode(self, batches: Sequence[Sequence[Sequence[int]]]) -> Iterator[Matrix]:
        """One matrix for each batch of token ids, in order; rows are not yet of unit length."""
        ...

    def encode_tokens(self, batch: Sequence[Sequence[int]]) -> list[Matrix]:
        """One matrix for each text of one batch: a row per token, not yet of unit length."""
        ...


class SentenceTransformerEncoder:
    """Runs whatever modules a sentence-transformers folder names."""

    parallel_count = 1

    def __init__(self, folder: str, device: str, precision: str) -> None:
        import torch
        from sentence_transformers import SentenceTransformer

        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        self._model: Any = SentenceTransformer(
            folder,
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"dtype": dtype, "use_safetensors": True},
        )
        self._model.eval()
        self.device = device
        self._pad_id = getattr(self._model.tokenizer, "pad_token_id", None) or 0
        self.dimension = int(self._model.get_embedding_dimension() or 0)

    def encode(self, batches: Sequence[Sequence[Sequence[int]]]) -> Iterator[Matrix]:
        return map(self._forward, batches)

    def _forward(self, batch: Sequence[Sequence[int]]) -> Matrix:
        matrix: Matrix = self._run(batch)["sentence_embedding"].float().cpu().numpy()
        return matrix

    def encode_tokens(self, batch: Sequence[Sequence[int]]) -> list[Matrix]:
        texts = self._run(batch)["token_embeddings"].float().cpu().numpy()
        return [rows[: len(ids)] for rows, ids in zip(texts, batch, strict=True)]

    def _run(self, batch: Sequence[Sequence[int]]) -> Any:
        import torch

        width = max(len(ids) for ids in batch)
        tokens = torch.full((len(batch), width), self._pad_id, dtype=torch.long)
        mask = torch.zeros((len(batch), width), dtype=torch.long)
        for row, ids in enumerate(batch):
            tokens[row, : len(ids)] = torch.tensor(ids)
            mask[row, : len(ids)] = 1
        features = {"input_ids": tokens.to(self.device), "attention_mask": mask.to(self.device)}
        with torch.inference_mode():
            return self._model(features)


def batches_by_length(lengths: Sequence[int], *, max_batch_tokens: int, max_batch_texts: int) -> Iterator[list[int]]:
    """Group texts of similar length: yields lists of positions, longest texts first.

    A batch holds at most `max_batch_texts`, and at most `max_batch_tokens` counted as padded to its longest text;
    one text alone may exceed the latter. Longest first lets memory peak, and fail, at the start.
    """
    order = sorted(range(len(lengths)), key=lambda position: -lengths[position])
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        size = max(1, min(max_batch_texts, max_batch_tokens // longest))
        yield order[start : start + size]
        start += size
