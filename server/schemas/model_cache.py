"""Wire models of the model cache."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from server.schemas.openai import ModelCard
from server.schemas.streams import EVENT_STREAM

Provider = Literal["universal", "ollama", "openai", "lemonade"]
MAX_NAME_CHARS = 300


class CachedModelEntry(ModelCard):
    """A model on this machine. It is known by `model_id`, `id` and `name`, which are the same."""

    model_id: str
    name: str
    provider: str
    size_bytes: int
    size: int = Field(description="The same as `size_bytes`.")
    size_human: str
    last_modified: datetime
    revisions: list[str]
    path: str = Field(description="Folder on this machine; empty for a model that Ollama keeps.")
    bundled: bool = Field(False, description="Came with this program: it is not downloaded and cannot be deleted.")


class ModelCatalog(BaseModel):
    """Cached models; for a client of OpenAI's API the projects' models stand first."""

    object: Literal["list"] = "list"
    data: list[CachedModelEntry | ModelCard]


class DownloadRequest(BaseModel):
    model_name: str = Field(
        min_length=1, max_length=MAX_NAME_CHARS, description="`organisation/model`, or with `:Q4_K_M` one GGUF variant."
    )
    provider: Provider = "universal"


class ModelDeleted(BaseModel):
    model_name: str
    revisions_deleted: int
    size_freed: int
    path: str


class ValidateRequest(BaseModel):
    model_name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    provider: Provider = "universal"


class DiskUsage(BaseModel):
    """A file system. `free_bytes` is what this process may use of it."""

    total_bytes: int
    used_bytes: int
    free_bytes: int
    path: str
    percent_free: float


class DownloadCheck(BaseModel):
    """Whether a download fits. `required_bytes` leaves out what is cached already; 0: not known."""

    can_download: bool
    warning: bool = Field(description="It fits, but leaves little space.")
    message: str
    available_bytes: int
    required_bytes: int
    cache_info: DiskUsage
    system_info: DiskUsage


class QuantizationOption(BaseModel):
    filename: str = Field(description="The first file, where a variant has several.")
    quantization: str
    size_bytes: int
    size_human: str


class QuantizationList(BaseModel):
    options: list[QuantizationOption]


DOWNLOAD_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-sent events: `init`, then for each file `start`, `progress` and `end`, or `cached`; at "
        "the end `complete` and `done`, or `error`.",
        "content": EVENT_STREAM,
    }
}
