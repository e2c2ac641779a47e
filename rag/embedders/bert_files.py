"""Reads from a model folder whether it is a plain BERT with mean or first-token pooling, and its tensors."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

_PLAIN = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
}
_PREFIX = "bert."


@dataclass(frozen=True, slots=True)
class BertShape:
    width: int
    head_count: int
    layer_count: int
    vocabulary_size: int
    norm_epsilon: float
    pooling: Literal["mean", "cls"]

    @property
    def head_width(self) -> int:
        return self.width // self.head_count


def read_shape(folder: Path) -> BertShape | None:
    """The shape of the model in `folder`, or None if it is anything but a plain BERT in one safetensors file."""
    pooling = _pooling(folder)
    config = _read_json(folder / "config.json")
    settings = {**{key: _PLAIN[key] for key in _PLAIN if key != "model_type"}, **config}
    if pooling is None or any(settings.get(key) != value for key, value in _PLAIN.items()):
        return None
    if not (folder / "model.safetensors").is_file():
        return None
    return BertShape(
        width=int(config["hidden_size"]),
        head_count=int(config["num_attention_heads"]),
        layer_count=int(config["num_hidden_layers"]),
        vocabulary_size=int(config["vocab_size"]),
        norm_epsilon=float(config.get("layer_norm_eps", 1e-12)),
        pooling=pooling,
    )


def read_tensors(folder: Path) -> "dict[str, Tensor]":
    """The model's tensors under the names that BERT itself gives them; the file stays on disk until they are used."""
    from safetensors.torch import load_file

    tensors = load_file(folder / "model.safetensors")
    return {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}


def _pooling(folder: Path) -> Literal["mean", "cls"] | None:
    """How tokens become one vector, if the folder's modules are: transformer, pooling, and at most normalising."""
    modules = _read_json(folder / "modules.json") or []
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]) or modules[0]["path"]:
        return None
    config = _read_json(folder / str(modules[1]["path"]) / "config.json")
    if "pooling_mode" in config:
        mode = config["pooling_mode"]
        return mode if mode in {"mean", "cls"} else None
    chosen = [key for key, value in config.items() if key.startswith("pooling_mode_") and value]
    known: dict[str, Literal["mean", "cls"]] = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}
    return known.get(chosen[0]) if len(chosen) == 1 else None


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
