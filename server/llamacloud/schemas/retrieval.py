"""Wire models of retrieval over indexes, and of the tools that look into their files."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr, field_validator, model_validator

from server.llamacloud.schemas.text import Plain

FilterOperator = Literal["eq", "ne", "gt", "lt", "gte", "lte", "in", "nin"]
FilterScalar = StrictBool | StrictInt | StrictFloat | StrictStr
FilterNumber = StrictInt | StrictFloat


class ValueFilter(BaseModel):
    """A condition on one field. A number is never equal to a text; a missing field matches `ne` and `nin` only."""

    operator: FilterOperator
    value: FilterScalar | list[FilterScalar]


class BoundFilter(BaseModel):
    """One bound of a range of numbers; all in a list must hold."""

    operator: FilterOperator
    value: FilterNumber | list[FilterNumber]


class TextFilter(BaseModel):
    operator: FilterOperator
    value: StrictStr | list[StrictStr]


class StaticFilters(BaseModel):
    """Conditions on what every chunk has."""

    parsed_directory_file_id: TextFilter | None = Field(None, description="The file that a chunk is from.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, sent: Any) -> Any:
        unknown = [str(each) for each in sent if each not in cls.model_fields] if isinstance(sent, dict) else []
        if unknown:
            raise ValueError(f"no field {unknown[0][:100]!r}. Known: {', '.join(cls.model_fields)}")
        return sent


class Rerank(BaseModel):
    """Reranking needs a `reranker` in the default retrieval strategy of the project's llamafarm.yaml."""

    enabled: bool | None = Field(None, description="False switches it off. Default: on.")
    top_n: int | None = Field(None, ge=1, description="Most results while it is on.")


class RetrieveRequest(BaseModel):
    index_id: Plain
    query: Plain
    custom_filters: dict[str, ValueFilter | list[BoundFilter] | None] | None = Field(
        None, description="By the metadata of files, such as {'year': {'operator': 'gte', 'value': 2024}}."
    )
    static_filters: StaticFilters | None = None
    vector_pipeline_weight: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="Weight of the search by meaning; 0 leaves it out. 0.5."
    )
    full_text_pipeline_weight: float | None = Field(
        None, ge=0, le=1, allow_inf_nan=False, description="Weight of the search by words; 0 leaves it out. 0.5."
    )
    num_candidates: int | None = Field(
        None, ge=1, description="Taken from each side before both are fused, at least top_k and at most 5,000."
    )
    rerank: Rerank | None = None
    score_threshold: float | None = Field(
        None, allow_inf_nan=False, description="Least `score`; applied before reranking."
    )
    top_k: int | None = Field(None, ge=1, description="Most results. Default 10; more than 500 are 500.")

    @model_validator(mode="before")
    @classmethod
    def _refuse_other_names(cls, sent: Any) -> Any:
        """Other unknown fields are ignored; without its filter a search finds what was not meant to be found."""
        for name in ("filters", "filter"):
            if isinstance(sent, dict) and sent.get(name) is not None:
                raise ValueError(f"no field {name!r}: filters are sent as custom_filters (or static_filters)")
        return sent

    @field_validator("custom_filters", mode="before")
    @classmethod
    def _require_conditions(cls, sent: Any) -> Any:
        for name, given in sent.items() if isinstance(sent, dict) else ():
            if given is not None and not isinstance(given, dict | list):
                shown = given[:60] if isinstance(given, str) else given
                raise ValueError(
                    f"custom_filters.{str(name)[:100]}: expected {{'operator': 'eq', 'value': {shown!r}}}, or a list "
                    f"of such bounds of a range, got {shown!r}"
                )
        return sent


class AttachmentRef(BaseModel):
    attachment_name: str
    source_id: str
    type: str


class StaticFields(BaseModel):
    """Where a chunk stands. Offsets count characters in the text that `files/read` gives."""

    parsed_directory_file_id: str
    chunk_index: int = Field(description="From 0, without gaps, of its file.")
    chunk_start_char: int
    chunk_end_char: int
    chunk_token_count: int
    page_range_start: int | None = Field(None, description="From 1; null for formats without pages.")
    page_range_end: int | None = None
    attachments: list[AttachmentRef] = Field(default_factory=list, description="Always empty: none are kept.")
    file_name: str


class RetrievedChunk(BaseModel):
    content: str
    metadata: dict[str, str | float | int | bool | list[str]] = Field(description="Of the file, as users gave it.")
    score: float = Field(description="Of the search, in [0, 1].")
    rerank_score: float | None = Field(None, description="In [0, 1] over these results; null unless a reranker ran.")
    static_fields: StaticFields


class RetrieveResponse(BaseModel):
    """Best first: by `rerank_score` where there is one, else by `score`."""

    results: list[RetrievedChunk]


class FileSearchRequest(BaseModel):
    index_id: Plain
    file_name: Plain | None = Field(None, description="The whole name.")
    file_name_contains: Plain | None = Field(None, description="A part of it, in any case.")
    limit: int | None = Field(None, ge=1, description="Most files; default: all.")


class FileFindRequest(BaseModel):
    index_id: Plain
    file_name: Plain | None = Field(None, description="The whole name.")
    file_name_contains: Plain | None = Field(None, description="A part of it, in any case.")
    page_size: int | None = Field(None, ge=1, description="Default 100; more than 1,000 are 1,000.")
    page_token: str | None = None


class FoundFile(BaseModel):
    file_id: str
    file_name: str


class FileSearchResponse(BaseModel):
    """By name."""

    files: list[FoundFile]


class FileFindResponse(BaseModel):
    """By name."""

    items: list[FoundFile]
    next_page_token: str | None = None
    total_size: int | None = None


class GrepRequest(BaseModel):
    index_id: Plain
    file_id: Plain = Field(description="Of the file in the index, or of the uploaded file behind it.")
    pattern: str = Field(description="A regular expression of RE2; `^` and `$` match at each line.")
    context_chars: int | None = Field(None, description="Characters shown before and after each match, up to 10,000.")
    limit: int | None = Field(None, ge=1, description="Most matches; 1,000 are the most of one answer.")
    page_size: int | None = Field(None, ge=1, description="Another name of `limit`, which wins.")
    page_token: str | None = None


class GrepMatch(BaseModel):
    content: str = Field(description="The match with its context.")
    start_char: int = Field(description="Of the match itself, in the file's text.")
    end_char: int


class GrepResponse(BaseModel):
    """In the order of the text; `matches` and `items` are the same list."""

    matches: list[GrepMatch]
    items: list[GrepMatch]
    next_page_token: str | None = None
    total_size: int | None = Field(None, description="How many there are in all; known on the last page only.")


class ReadRequest(BaseModel):
    index_id: Plain
    file_id: Plain = Field(description="Of the file in the index, or of the uploaded file behind it.")
    offset: int | None = Field(None, description="First character; default 0.")
    max_length: int | None = Field(None, description="Most characters; default: to the end.")


class ReadResponse(BaseModel):
    content: str = Field(description="Of the parsed text.")


class Attachment(BaseModel):
    name: str
    size: int
    last_modified: Annotated[Any, Field(description="When it was changed.")] = None


class AttachmentPage(BaseModel):
    items: list[Attachment]
    next_page_token: str | None = None
    total_size: int | None = None
