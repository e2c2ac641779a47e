"""OpenAI's embeddings, as far as this server speaks them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_core import PydanticCustomError

MAX_INPUTS = 2048
MAX_TOTAL_TOKENS = 300_000
"""Both are OpenAI's own limits for one request."""


def _text(value: Any) -> Any:
    if isinstance(value, list) and value and isinstance(value[0], int | list):
        raise PydanticCustomError(
            "token_input", "token arrays are not accepted, because models count differently: send the text"
        )
    return value


class EmbeddingRequest(BaseModel):
    model: str = Field(
        min_length=1,
        max_length=500,
        description="`namespace/project`, `namespace/project/database`, or an embedding model on this machine.",
    )
    input: Annotated[str | Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS)], BeforeValidator(_text)] = (
        Field(description="A text or several; none may be empty or longer than the model's window.")
    )
    encoding_format: Literal["float", "base64"] = Field("float", description="base64: little-endian float32.")
    dimensions: int | None = Field(None, ge=1, description="Must be the model's own: vectors are not shortened.")
    user: str | None = Field(None, description="Accepted, without effect.")


class Embedding(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingAnswer(BaseModel):
    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
