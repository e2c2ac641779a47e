"""How fast is the embedder on this machine's device, and against what?

    python -m benchmarks.embed_device [--device auto] [--models minilm base large] [--chunks 64] [--rounds 5]

Every round runs, on the same texts and one after the other: `SentenceTransformer.encode` at its defaults (fp32), the
same in the half precision that the embedder chooses, and the embedder. Ratios are medians over the rounds, so that
other load on the machine falls on all three. `base` and `large` have the shape of BERT base and large with random
weights: fit for timing, not for meaning. Shares are of the product rate measured here for one 4096 x 1536 x 384
multiplication in the embedder's precision; they count multiplications only.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sentence_transformers
import torch
import transformers
from sentence_transformers import SentenceTransformer

from rag.embedders.hardware import choose_device, choose_precision
from rag.embedders.sentence_transformer import SentenceTransformerEmbedder
from rag.embedders.weights import DEFAULT_MODEL, locate

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
WORDS = "river light winter policy energy market water model report city network table green stone open".split()
QUERY = "how do I reset the password of my account?"


@dataclass(frozen=True)
class Shape:
    width: int
    layers: int
    heads: int

    def flop_count(self, tokens: int) -> int:
        """Multiply-adds of one text, times two."""
        return self.layers * (24 * tokens * self.width**2 + 4 * tokens**2 * self.width)


SHAPES = {"minilm": Shape(384, 6, 12), "base": Shape(768, 12, 12), "large": Shape(1024, 24, 16)}


def make_folder(folder: Path, shape: Shape) -> Path:
    """A model of `shape` with random weights and the tokenizer of the bundled one."""
    source = locate(DEFAULT_MODEL).folder
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.md", "data_config.json"))
    config = transformers.BertConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.width,
    )
    torch.manual_seed(0)
    transformers.BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    pooling = {"word_embedding_dimension": shape.width, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    return folder


def make_texts(count: int, tokens: int) -> list[str]:
    generator = random.Random(0)
    return [" ".join(generator.choices(WORDS, k=tokens - 2)) for _ in range(count)]


def seconds(function: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    function()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - start


def product_rate(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations per second of one large product, best of several."""
    size = 8192 if device.startswith("cuda") else 4096
    left = torch.randn(size, 1536, device=device, dtype=dtype)
    right = torch.randn(384 if device == "cpu" else size, 1536, device=device, dtype=dtype)
    times = [seconds(lambda: torch.nn.functional.linear(left, right), device) for _ in range(15)]
    return 2 * left.shape[0] * 1536 * right.shape[0] / min(times)


def throughput(
    contenders: dict[str, Callable[[list[str]], object]], texts: list[str], rounds: int, device: str
) -> dict[str, list[float]]:
    """Seconds that each contender took, one number per round."""
    for run in contenders.values():
        run(texts[:8])
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            times[name].append(seconds(lambda run=run: run(texts), device))
    return times


def latency_ms(run: Callable[[], object], device: str, rounds: int = 50) -> str:
    times = sorted(1000 * seconds(run, device) for _ in range(rounds))
    return f"p50 {times[rounds // 2]:.1f} ms, best {times[0]:.1f} ms"


def measure(name: str, folder: Path, options: argparse.Namespace, device: str, precision: str) -> None:
    shape, tokens = SHAPES[name], 256
    texts = make_texts(options.chunks, tokens)
    embedder = SentenceTransformerEmbedder(SentenceTransformerEmbedder.Options(model=str(folder), device=device))
    general = {
        "encode, defaults": SentenceTransformer(str(folder), device=device, local_files_only=True),
        f"encode, {precision}": SentenceTransformer(
            str(folder), device=device, local_files_only=True, model_kwargs={"dtype": DTYPES[precision]}
        ),
    }
    contenders: dict[str, Callable[[list[str]], object]] = {key: model.encode for key, model in general.items()}
    contenders["embedder"] = embedder.embed_documents
    times = throughput(contenders, texts, options.rounds, device)
    rate = product_rate(device, DTYPES[precision])
    print(f"\n{name}: {shape.layers} layers of {shape.width}, {len(texts)} chunks of {tokens} tokens")
    for key, values in times.items():
        chunks = len(texts) / statistics.median(values)
        ratio = statistics.median(base / own for base, own in zip(times["encode, defaults"], values, strict=True))
        share = chunks * shape.flop_count(tokens) / rate
        print(
            f"  {key:18} {chunks:9.1f} chunks/s {chunks * tokens:11.0f} tokens/s  x{ratio:.2f}  {share:.0%} of products"
        )
    half = statistics.median(
        base / own for base, own in zip(times[f"encode, {precision}"], times["embedder"], strict=True)
    )
    cosine = (
        (embedder.embed_documents(texts[:8]) * general["encode, defaults"].encode(texts[:8], normalize_embeddings=True))
        .sum(axis=1)
        .min()
    )
    print(f"  embedder to encode in {precision}: x{half:.2f}; lowest cosine to fp32: {cosine:.5f}")
    print(f"  one query: {latency_ms(lambda: embedder.embed_query(QUERY), device)}")
    print(f"  8 queries: {latency_ms(lambda: embedder.embed_queries([QUERY] * 8), device)}")
    print(f"  one query by encode, defaults: {latency_ms(lambda: general['encode, defaults'].encode(QUERY), device)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--models", nargs="+", choices=SHAPES, default=["minilm"], help="default: minilm")
    parser.add_argument("--chunks", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    device = choose_device(options.device)
    precision = choose_precision("auto", device)
    chip = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or platform.machine()
    print(f"device {device} ({chip}), {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, precision {precision}")
    print(
        f"python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, "
        f"sentence-transformers {sentence_transformers.__version__}"
    )
    print(f"one product: {product_rate(device, DTYPES[precision]) / 1e9:.0f} GFLOP/s in {precision}")
    with tempfile.TemporaryDirectory() as scratch:
        for name in options.models:
            folder = (
                locate(DEFAULT_MODEL).folder if name == "minilm" else make_folder(Path(scratch) / name, SHAPES[name])
            )
            measure(name, folder, options, device, precision)


if __name__ == "__main__":
    main()
