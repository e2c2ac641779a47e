"""What the Hugging Face hub has of a model, and which of its files a download takes."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rag.errors import BadRequestError, NotFoundError, RagError, StorageFullError, UpstreamError

TIMEOUT_S = 10.0
PREFERRED_QUANTIZATIONS = ("Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q8_0")
"""What is taken of a GGUF model when none is asked for: a good size for its quality first."""

_QUANTIZATION = re.compile(
    r"(?<![A-Za-z0-9])((?:[IT]?Q\d(?:_[A-Za-z0-9]+)*)|BF16|FP?16|FP?32|MXFP4)(?![A-Za-z0-9])", re.IGNORECASE
)
_QUANTIZATION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PART = re.compile(r"-\d{5}-of-\d{5}(?=\.gguf$)", re.IGNORECASE)
_TEXTS = (".json", ".txt", ".model")
_OTHER_RUNTIMES = ("onnx/", "openvino/")


@dataclass(frozen=True, slots=True)
class HubFile:
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Quantization:
    """One GGUF variant: a file, or the parts of one."""

    name: str
    files: tuple[HubFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class DownloadPlan:
    """What to fetch of a model."""

    model_id: str
    quantization: str | None
    files: tuple[HubFile, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def is_gguf(self) -> bool:
        return all(file.name.lower().endswith(".gguf") for file in self.files)


class Hub:
    """Asks the hub about models. Nothing is kept: what the hub has changes.

    Args:
        endpoint: None is the one of `HF_ENDPOINT`.
        token: for private and gated models.
    """

    def __init__(self, *, endpoint: str | None = None, token: str | None = None) -> None:
        self.endpoint = endpoint
        self.token = token

    def files(self, model_id: str) -> tuple[HubFile, ...]:
        """Every file of the model's main revision.

        Raises:
            NotFoundError: there is no such model, or only for those with another token.
            UpstreamError: the hub does not answer, or must not be asked.
        """
        from huggingface_hub import HfApi

        with translated(model_id):
            info = HfApi(endpoint=self.endpoint, token=self.token or False).model_info(
                model_id, files_metadata=True, timeout=TIMEOUT_S
            )
        return tuple(HubFile(each.rfilename, each.size or 0) for each in info.siblings or [])

    def plan(self, name: str) -> DownloadPlan:
        """Choose the files of `organisation/model` or `organisation/model:QUANTIZATION`.

        Of a GGUF repository one variant is taken. Of any other: weights in safetensors with the files that belong
        to them; everything, if there are no such weights.
        """
        model_id, wanted = split_name(name)
        files = self.files(model_id)
        if not files:
            raise NotFoundError(f"Model '{model_id}' has no files on the hub")
        if wanted is None and any(file.name.endswith(".safetensors") for file in files):
            return DownloadPlan(model_id, None, tuple(file for file in files if _is_wanted(file.name)))
        variants = quantizations(files)
        if wanted is None and not variants:
            return DownloadPlan(model_id, None, files)
        chosen = _chosen(model_id, variants, wanted)
        return DownloadPlan(model_id, chosen.name, chosen.files)


def split_name(name: str) -> tuple[str, str | None]:
    """`organisation/model:Q4_K_M` → the model and the quantization.

    Raises:
        BadRequestError: no model can have this name.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id  # its public name is not exported to type checkers

    model_id, colon, quantization = name.strip().partition(":")
    refusal = BadRequestError(
        f"'{name}' is not the name of a model; expected 'organisation/model' or 'organisation/model:QUANTIZATION'"
    )
    try:
        validate_repo_id(model_id)
    except HFValidationError as error:
        raise refusal from error
    if colon and not _QUANTIZATION_NAME.fullmatch(quantization):
        raise refusal
    return model_id, quantization or None


def quantizations(files: tuple[HubFile, ...]) -> list[Quantization]:
    """The GGUF variants, smallest first; parts of one are put together, projectors of vision models left out."""
    groups: dict[str, list[HubFile]] = {}
    for file in files:
        if file.name.lower().endswith(".gguf") and "mmproj" not in file.name.lower():
            groups.setdefault(_PART.sub("", file.name), []).append(file)
    found = [
        Quantization(_quantization_of(name), tuple(sorted(parts, key=lambda part: part.name)))
        for name, parts in groups.items()
    ]
    return sorted(found, key=lambda each: (each.size_bytes, each.name))


@contextmanager
def translated(model_id: str) -> Iterator[None]:
    """Turns what `huggingface_hub` raises into this project's errors."""
    from httpx2 import HTTPError

    try:
        yield
    except RagError:
        raise
    except (HTTPError, OSError, ValueError, TypeError, KeyError) as error:
        raise _explained(model_id, error) from error


def _explained(model_id: str, error: Exception) -> RagError:
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        text = f"Model '{model_id}' is gated: accept its terms on the hub and set LF_HF_TOKEN"
        return NotFoundError(text, code="ModelNotFound")
    if isinstance(error, RepositoryNotFoundError):
        text = f"Model '{model_id}' is not on the hub, or is private: check the name, or set LF_HF_TOKEN"
        return NotFoundError(text, code="ModelNotFound")
    if isinstance(error, OfflineModeIsEnabled) or isinstance(error.__cause__, OfflineModeIsEnabled):
        return UpstreamError("the hub is not asked because HF_HUB_OFFLINE is set; unset it to download")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFullError("the disk is full; free space, or move the cache with HF_HOME")
    if isinstance(error, PermissionError):
        return UpstreamError("the model cache cannot be written to; see to its folder, or move it with HF_HOME")
    return UpstreamError(f"the hub does not answer as expected ({type(error).__name__}); try again later")


def _chosen(model_id: str, variants: list[Quantization], wanted: str | None) -> Quantization:
    if wanted is not None:
        for variant in variants:
            if variant.name.lower() == wanted.lower():
                return variant
        known = ", ".join(variant.name for variant in variants) or "none: it is no GGUF model"
        raise NotFoundError(f"Model '{model_id}' has no quantization '{wanted}'. Available: {known}")
    ranks = {name: rank for rank, name in enumerate(PREFERRED_QUANTIZATIONS)}
    return min(variants, key=lambda variant: (ranks.get(variant.name, len(ranks)), variant.size_bytes))


def _quantization_of(name: str) -> str:
    """The last one that the name holds; a file that names none is known by its own name."""
    found = _QUANTIZATION.findall(name)
    return found[-1].upper() if found else name.rpartition("/")[2].removesuffix(".gguf")


def _is_wanted(name: str) -> bool:
    if name.startswith(_OTHER_RUNTIMES):
        return False
    return name.endswith((".safetensors", *_TEXTS))
