"""Runs BERT-shaped sentence-transformers models on the CPU without padding and without transformers.

The general path lays every weight out anew at each call and computes padding, and its imports cost about 200 MB.
A model is taken only if its folder describes exactly what is computed here; the rest goes the general way.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rag.embedders.bert_files import BertShape, read_tensors
from rag.embedders.packed_linear import Linear, MakeLinear, packed_linear, plain_linear
from rag.embedders.threads import one_core_threads
from rag.errors import EmbeddingError
from rag.types import Matrix

_SCORES_PER_STEP = 1 << 20  # attention scores that stay in the second-level cache
_LOWEST_COSINE = 0.999
LARGE_BATCH_ROWS = 512
ROWS_OF_A_STEP = 64


@dataclass(frozen=True, slots=True)
class _Norm:
    weight: Tensor
    bias: Tensor
    epsilon: float

    def __call__(self, rows: Tensor) -> Tensor:
        return functional.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.epsilon)


@dataclass(frozen=True, slots=True)
class _Layer:
    query_key_value: Linear
    attention_output: Linear
    attention_norm: _Norm
    widen: Linear
    narrow: Linear
    output_norm: _Norm


class Bert:
    """The forward pass over the concatenated tokens of all texts of a batch."""

    def __init__(self, folder: Path, shape: BertShape, dtype: torch.dtype, make_linear: MakeLinear) -> None:
        self._shape = shape
        self._dtype = dtype
        self._make_linear = make_linear
        self._tensors = read_tensors(folder)
        self._words = self._cast("embeddings.word_embeddings.weight")
        token_type = self._tensors["embeddings.token_type_embeddings.weight"][0]
        self._positions = (self._tensors["embeddings.position_embeddings.weight"] + token_type).to(dtype)
        self._norm = self._read_norm("embeddings.LayerNorm")
        self._layers = [self._read_layer(f"encoder.layer.{index}") for index in range(shape.layer_count)]
        self._tensors = {}

    def forward(self, batch: Sequence[Sequence[int]]) -> Matrix:
        lengths = [len(ids) for ids in batch]
        with torch.inference_mode():
            pooled: Matrix = self._pool(self._last_layer(batch, lengths), lengths).numpy()
        return pooled

    def forward_tokens(self, batch: Sequence[Sequence[int]]) -> list[Matrix]:
        """The last layer's vector of every token, text by text."""
        lengths = [len(ids) for ids in batch]
        with torch.inference_mode():
            rows = self._last_layer(batch, lengths)[: sum(lengths)]
            return [text.float().numpy() for text in rows.split_with_sizes(lengths)]

    def _last_layer(self, batch: Sequence[Sequence[int]], lengths: Sequence[int]) -> Tensor:
        tokens = torch.from_numpy(np.concatenate([np.asarray(ids, dtype=np.int64) for ids in batch]))
        positions = torch.from_numpy(np.concatenate([np.arange(length) for length in lengths]))
        rows = _rounded(self._norm(self._words[tokens] + self._positions[positions]))
        groups = list(_equal_lengths(lengths, self._shape.head_count))
        for layer in self._layers:
            rows = self._run(layer, rows, groups)
        return rows

    def _run(self, layer: _Layer, rows: Tensor, groups: Iterable[tuple[int, int]]) -> Tensor:
        context = self._attend(layer.query_key_value(rows), groups)
        rows = layer.attention_norm(layer.attention_output(context) + rows)
        return layer.output_norm(layer.narrow(layer.widen(rows)) + rows)

    def _attend(self, query_key_value: Tensor, groups: Iterable[tuple[int, int]]) -> Tensor:
        """Attention within each text. Plain products beat the fused kernel in bf16 on the CPU (by 10 % in all)."""
        heads, width = self._shape.head_count, self._shape.head_width
        context = query_key_value.new_empty((query_key_value.shape[0], heads * width))
        start = 0
        for count, length in groups:
            end = start + count * length
            split = query_key_value[start:end].view(count, length, 3, heads, width).permute(2, 0, 3, 1, 4)
            query, key, value = split.reshape(3, count * heads, length, width)
            weights = torch.softmax(torch.bmm(query, key.transpose(1, 2)), dim=-1)
            mixed = torch.bmm(weights, value).view(count, heads, length, width).transpose(1, 2)
            context[start:end].view(count, length, heads, width).copy_(mixed)
            start = end
        context[start:] = 0.0
        return context

    def _pool(self, rows: Tensor, lengths: list[int]) -> Tensor:
        texts = rows[: sum(lengths)].split_with_sizes(lengths)
        if self._shape.pooling == "cls":
            return torch.stack([text[0] for text in texts]).float()
        return torch.stack([text.mean(dim=0, dtype=torch.float32) for text in texts])

    def _read_layer(self, name: str) -> _Layer:
        return _Layer(
            query_key_value=self._read_query_key_value(f"{name}.attention.self"),
            attention_output=self._read_linear(f"{name}.attention.output.dense"),
            attention_norm=self._read_norm(f"{name}.attention.output.LayerNorm"),
            widen=self._make_linear(
                self._cast(f"{name}.intermediate.dense.weight"), self._cast(f"{name}.intermediate.dense.bias"), "gelu"
            ),
            narrow=self._read_linear(f"{name}.output.dense"),
            output_norm=self._read_norm(f"{name}.output.LayerNorm"),
        )

    def _read_query_key_value(self, name: str) -> Linear:
        """Join three layers in one; the division of the scores is moved into the weights of the query."""
        parts = {
            kind: [self._tensors[f"{name}.{part}.{kind}"] for part in ("query", "key", "value")]
            for kind in ("weight", "bias")
        }
        scale = self._shape.head_width**-0.5
        weight, bias = (torch.cat([query * scale, key, value]) for query, key, value in parts.values())
        return self._make_linear(weight.to(self._dtype), bias.to(self._dtype), "none")

    def _read_linear(self, name: str) -> Linear:
        return self._make_linear(self._cast(f"{name}.weight"), self._cast(f"{name}.bias"), "none")

    def _read_norm(self, name: str) -> _Norm:
        return _Norm(self._cast(f"{name}.weight"), self._cast(f"{name}.bias"), self._shape.norm_epsilon)

    def _cast(self, name: str) -> Tensor:
        return self._tensors[name].to(self._dtype)


class BertEncoder:
    """An Encoder over `Bert`: one batch per core, each on one core, which scales better than sharing each product."""

    def __init__(self, folder: Path, shape: BertShape, precision: str) -> None:
        dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
        self._bert = Bert(folder, shape, dtype, packed_linear)
        self.dimension = shape.width
        self.parallel_count = _usable_cores()
        _compare(self._bert, Bert(folder, shape, torch.float32, plain_linear), shape)
        self._threads = one_core_threads(self.parallel_count)

    def encode(self, batches: Sequence[Sequence[Sequence[int]]]) -> Iterator[Matrix]:
        return self._threads.map(self._bert.forward, batches)

    def encode_tokens(self, batch: Sequence[Sequence[int]]) -> list[Matrix]:
        (texts,) = self._threads.map(self._bert.forward_tokens, [batch])
        return texts


def _rounded(rows: Tensor) -> Tensor:
    """With rows of zeros at the end of a large batch, up to a round number: the library below makes and keeps a kernel
    for each number of rows that it is given, and 1,000 files have hundreds of them. A query is left as it is."""
    missing = -len(rows) % ROWS_OF_A_STEP if len(rows) >= LARGE_BATCH_ROWS else 0
    return functional.pad(rows, (0, 0, 0, missing)) if missing else rows


def _usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _compare(packed: Bert, plain: Bert, shape: BertShape) -> None:
    """Refuse packed layers that compute something else than plain ones, on a few fixed texts."""
    generator = np.random.default_rng(0)
    batch = [generator.integers(0, shape.vocabulary_size, size).tolist() for size in (5, 9, 9, 40)]
    left, right = packed.forward(batch), plain.forward(batch)
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    cosine = float((np.einsum("ij,ij->i", left, right) / norms).min())
    if not cosine >= _LOWEST_COSINE:
        raise EmbeddingError(f"packed layers differ from plain ones: cosine {cosine:.4f}")


def _equal_lengths(lengths: Sequence[int], head_count: int) -> Iterator[tuple[int, int]]:
    """Neighbours of equal length as (count, length), as many together as fit `_SCORES_PER_STEP`."""
    start = 0
    while start < len(lengths):
        length = lengths[start]
        limit = start + max(1, _SCORES_PER_STEP // (head_count * length * length))
        end = start
        while end < min(limit, len(lengths)) and lengths[end] == length:
            end += 1
        yield end - start, length
        start = end
