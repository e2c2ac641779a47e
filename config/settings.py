"""The process: what the environment says. What belongs to one project is in llamafarm.yaml (config/project.py)."""

import json
import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})

NameList = Annotated[list[str], NoDecode]
"""In the environment: names with commas between them, or a JSON list."""


class Settings(BaseSettings):
    """Every field can be set by an environment variable: `LF_` + the field's name, or the names listed in `docs/`."""

    model_config = SettingsConfigDict(
        env_prefix="LF_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    data_dir: Path = Field(
        default_factory=lambda: Path.home() / ".llamafarm", description="Where projects, uploads, state and logs live."
    )
    host: str = Field(
        "127.0.0.1", validation_alias=AliasChoices("LF_HOST", "HOST"), description="Address the API listens on."
    )
    port: int = Field(
        8000, ge=1, le=65535, validation_alias=AliasChoices("LF_PORT", "PORT"), description="Port the API listens on."
    )
    api_key: SecretStr | None = Field(
        None,
        description="When set, every request but health checks and `/docs` needs `Authorization: Bearer <key>`: this "
        "key, or one that `lf keys create` made.",
    )
    allow_unauthenticated: bool = Field(
        False, description="Allows listening on a non-loopback address without LF_API_KEY. Only for closed networks."
    )
    env_allowed: NameList | None = Field(
        None,
        description="Variables that `${VAR}` in a project may use, with commas between. Unset: any but the server's "
        "own where it listens on loopback, none elsewhere.",
    )
    block_private_urls: bool = Field(
        False,
        description="Refuses addresses of loopback and private networks as base_url of a project, but for "
        "LF_ALLOWED_HOSTS and the servers that are set here.",
    )
    allowed_hosts: NameList = Field(
        default_factory=list, description="Hosts that LF_BLOCK_PRIVATE_URLS lets pass, with commas between."
    )
    allowed_host_names: NameList = Field(
        default_factory=list,
        description="Names by which clients may call a server on loopback without a key, besides localhost and its "
        "addresses, with commas between; `*` is any. Others get 421: a web page must not reach it by another name.",
    )
    config_template: str = Field("default", description="Template of a new project when the request names none.")
    examples_dir: Path | None = Field(None, description="Folder of example projects; default: the bundled `examples/`.")
    seed_project: bool = Field(
        True,
        description="Make the built-in project llamafarm/project_seed at start, which answers questions about Paddock.",
    )

    designer_dist_path: Path | None = Field(
        None,
        validation_alias=AliasChoices("LF_DESIGNER_DIST_PATH", "DESIGNER_DIST_PATH"),
        description="Folder of a built web app (index.html, assets/), served at `/`. It is told the variables "
        "`VITE_APP_*`, which are public.",
    )
    releases_url: str | None = Field(
        None,
        description="Asked for the latest release by GET /v1/system/version-check, at most every 6 hours, in the form "
        "of GitHub's API: https://api.github.com/repos/OWNER/NAME/releases/latest. Unset: nothing is asked.",
    )

    redis_url: str | None = Field(None, description="Redis of the queue; unset: `lf server start` runs a private one.")
    broker_url: str | None = Field(
        None,
        validation_alias=AliasChoices("LF_BROKER_URL", "CELERY_BROKER_URL"),
        description="Another broker (amqp://…) than LF_REDIS_URL.",
    )
    chroma_url: str | None = Field(None, description="Chroma server; unset: `lf server start` runs a private one.")
    database_url: str | None = Field(
        None, description="SQLAlchemy URL of the state; unset: SQLite at `<data dir>/state/paddock.db`."
    )
    ollama_host: str = Field(
        "http://localhost:11434",
        validation_alias=AliasChoices("LF_OLLAMA_HOST", "OLLAMA_HOST"),
        description="Ollama's address, without `/v1`; a bare host:port is accepted.",
    )
    ollama_model: str = Field(
        "qwen3:8b",
        validation_alias=AliasChoices("LF_OLLAMA_MODEL", "OLLAMA_MODEL"),
        description="Model of an `ollama` entry in the YAML that names none.",
    )
    universal_url: str = Field(
        "http://127.0.0.1:11540/v1",
        description="OpenAI-compatible server behind `provider: universal` without base_url.",
    )
    lemonade_url: str = Field(
        "http://127.0.0.1:11534/api/v1", description="Server behind `provider: lemonade` without base_url."
    )
    llm_timeout_s: float = Field(
        120.0, gt=0, description="Seconds without a byte from an LLM before a call is abandoned."
    )
    llm_connect_timeout_s: float = Field(
        2.0, gt=0, description="Seconds to wait for an LLM server to accept a connection."
    )

    mcp_stdio: bool | None = Field(
        None,
        description="Whether projects may start the programs that they list as stdio servers under `mcp`. Unset: only "
        "where nobody else can write a project: on loopback, with LF_API_KEY or without a `*` in LF_CORS_ORIGINS.",
    )
    mcp_timeout_s: float = Field(60.0, gt=0, description="Seconds a tool of an MCP server may take.")

    api_processes: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that answer HTTP, each with its own copy of the embedding models. More than one helps "
        "where queries keep a core busy.",
    )
    parse_processes: int = Field(2, ge=1, le=64, description="Worker processes that parse and chunk.")
    embed_threads: int = Field(8, ge=1, le=64, description="Files that one embed worker has in hand at once.")
    embed_device: str = Field(
        "auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps."
    )
    embed_precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto, fp32, bf16 or fp16; auto chooses from the hardware."
    )
    embedding_cache_mb: int = Field(
        512,
        ge=0,
        description="MiB of vectors that are kept on disk by a digest of their text, so that a text is embedded once; "
        "0: none.",
    )
    warm_model: str = Field(
        "sentence-transformers/all-MiniLM-L6-v2",
        description="Embedding model that is loaded at start, so that the first query need not wait; empty: none.",
    )
    query_deadline_s: float = Field(30.0, gt=0, description="Seconds a query may take before it is answered with 503.")

    max_upload_bytes: int = Field(2_000_000_000, gt=0, description="Largest file an upload may carry (413 above).")
    max_body_bytes: int = Field(20_000_000, gt=0, description="Largest JSON body of a request (413 above).")
    max_pages: int = Field(20_000, gt=0, description="Most pages a file may have.")
    max_text_chars: int = Field(
        20_000_000, gt=0, description="Most characters of text one file may hold after parsing."
    )
    max_uncompressed_bytes: int = Field(
        1_000_000_000, gt=0, description="Most bytes an archive format (docx, xlsx) may unpack to."
    )
    max_compression_ratio: float = Field(
        200.0, gt=1, description="Most times an archive format may grow when unpacked."
    )
    max_archive_entries: int = Field(20_000, gt=0, description="Most entries an archive format may have.")
    parse_timeout_s: float = Field(600.0, gt=0, description="Seconds one file may take to parse before it is given up.")
    parse_memory_mb: int = Field(2048, ge=256, description="Resident memory at which a parse process is recycled.")
    public_url: str | None = Field(
        None,
        description="How clients reach this server, such as https://paddock.example.org: the beginning of links that "
        "the LlamaCloud API hands out. Unset: as the request was addressed.",
    )
    data_source_dirs: NameList = Field(
        default_factory=list,
        description="Directories of this machine, with commas between, below which pipelines of the LlamaCloud API may "
        "take files from. Unset: none.",
    )
    lease_s: float = Field(
        15.0, gt=0, description="Seconds after which the work of a worker that went silent is taken over."
    )
    sweep_interval_s: float = Field(5.0, gt=0, description="Seconds between two looks for work that was lost.")

    eval_max_questions: int = Field(1000, ge=1, description="Most questions of one evaluation (413 above).")
    eval_max_chunks: int = Field(
        20_000, ge=1, description="Most chunks that an evaluation cuts anew and holds in memory for one chunking."
    )

    history_days: float = Field(
        30.0,
        gt=0,
        description="Days that ended tasks, unused chat sessions and ended jobs of parsing, classifying, splitting and "
        "batches are kept.",
    )
    session_idle_s: float = Field(
        1800.0, gt=0, description="Seconds without a message after which a chat session is no longer listed as live."
    )
    session_wait_s: float = Field(
        120.0, gt=0, description="Seconds a message waits for the answer before it in the same session (429 after)."
    )
    event_log_days: float = Field(30.0, gt=0, description="Days that events of the event log are kept.")
    event_log_max_events: int = Field(100_000, ge=1, description="Most events that are kept of one project.")
    event_log_content: bool = Field(
        False,
        description="Keeps the messages and the answer of each chat in the event log, for all who may read it. Off, it "
        "keeps of their text only the query and the first 100 characters of the best two chunks.",
    )

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = Field(
        "INFO", validation_alias=AliasChoices("LF_LOG_LEVEL", "LOG_LEVEL"), description="The least that is logged."
    )
    log_json: bool | None = Field(None, description="JSON log lines; unset: JSON unless the output is a terminal.")
    cors_origins: list[str] = Field(default_factory=lambda: ["*"], description="Origins that browsers may call from.")
    hf_token: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("LF_HF_TOKEN", "HF_TOKEN", "HUGGINGFACE_TOKEN"),
        description="Token for model downloads from the Hugging Face hub.",
    )

    @field_validator(
        "api_key",
        "hf_token",
        "redis_url",
        "broker_url",
        "chroma_url",
        "database_url",
        "designer_dist_path",
        "releases_url",
        "public_url",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        """Compose files and shells pass on variables that nobody set as empty text."""
        return None if value == "" else value

    @field_validator("env_allowed", "allowed_hosts", "allowed_host_names", "data_source_dirs", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value.lstrip().startswith("["):
            return json.loads(value)
        return [name.strip() for name in value.split(",") if name.strip()]

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_capitals(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("ollama_host")
    @classmethod
    def _with_scheme(cls, value: str) -> str:
        value = value.rstrip("/").removesuffix("/v1")
        return value if "://" in value else f"http://{value}"

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _refuse_open_door(self) -> Self:
        if self.host not in LOOPBACK_HOSTS and self.api_key is None and not self.allow_unauthenticated:
            raise ValueError(
                f"listening on {self.host} without a key would open every document to the network: "
                "set LF_API_KEY (keys of `lf keys create` do not do: the last of them may be revoked), or "
                "LF_ALLOW_UNAUTHENTICATED=true on a closed network, or listen on 127.0.0.1"
            )
        return self

    @cached_property
    def project_variables(self) -> frozenset[str] | None:
        """Environment variables that projects may use; None: any but the server's own."""
        if self.env_allowed is None and self.host in LOOPBACK_HOSTS:
            return None
        return frozenset(self.env_allowed or ())

    @cached_property
    def designer_variables(self) -> dict[str, str]:
        """What the web app may read of the environment: only the names that its own build would have taken over."""
        return {name: value for name, value in sorted(os.environ.items()) if name.startswith("VITE_APP_")}

    @cached_property
    def starts_mcp_servers(self) -> bool:
        """Whether a project's config may name programs to start.

        A page in the user's browser may write to an open server on loopback, if any origin may call.
        """
        if self.mcp_stdio is not None:
            return self.mcp_stdio
        is_closed = self.api_key is not None or "*" not in self.cors_origins
        return self.host in LOOPBACK_HOSTS and is_closed

    @cached_property
    def projects_dir(self) -> Path:
        return self.data_dir / "projects"

    @cached_property
    def state_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'state' / 'paddock.db'}"
