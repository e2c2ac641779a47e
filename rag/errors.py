"""The exception tree of the whole project.

RagError
├── InvalidInputError          422  the caller can fix it; the message says what was expected
│   ├── BadRequestError        400  well-formed, but asks for what this project cannot do
│   │   └── ToolsRefusedError       the model's server takes no tools
│   ├── UnknownComponentError  422  names the known ones
│   ├── ConfigError            422  llamafarm.yaml: names file, path, value, what is accepted
│   ├── SlowPatternError       422  a search that would not end in time; not to be tried again
│   ├── LimitExceededError     413  larger than a named limit
│   └── UnreadableFileError    422  a bad file, as distinct from a bug in a parser
│       ├── EncryptedFileError      a password is needed
│       └── NoTextError             nothing to index: empty, or images only
├── AuthenticationError        401  a key is missing or wrong
├── AccessDeniedError          403  the key is right, and not for this
├── NotFoundError              404  project, dataset, database, task, file
├── ConflictError              409  exists already, or something depends on it
├── OverloadedError            429  no slot free; try later
├── StorageFullError           507  the disk is full
├── UpstreamError              503  Ollama, Chroma or the broker failed; retrying may help
│   └── EmbeddingError         503  an embedder gave zero, NaN or wrong-length vectors
└── CancelledTaskError         409  the task was cancelled while it ran

Messages name the thing, the value and the remedy.
"""


class RagError(Exception):
    """Base of everything this project raises on purpose; `code` is the `error` field on the wire."""

    code = "InternalServerError"

    @property
    def message(self) -> str:
        return str(self)


class InvalidInputError(RagError):
    code = "InvalidInput"


class BadRequestError(InvalidInputError):
    code = "BadRequest"


class ToolsRefusedError(BadRequestError):
    """The model's server takes no tools, at least for this model; nothing was answered."""


class UnknownComponentError(InvalidInputError):
    code = "UnknownComponent"


class ConfigError(InvalidInputError):
    code = "ProjectConfigError"


class LimitExceededError(InvalidInputError):
    code = "LimitExceeded"


class SlowPatternError(InvalidInputError):
    """A search that would not end in time, however often it is asked for."""


class UnreadableFileError(InvalidInputError):
    code = "UnreadableFile"


class EncryptedFileError(UnreadableFileError):
    code = "EncryptedFile"


class NoTextError(UnreadableFileError):
    code = "NoText"


class AuthenticationError(RagError):
    code = "Unauthorized"


class AccessDeniedError(RagError):
    code = "Forbidden"


class NotFoundError(RagError):
    """`code` may be narrowed per instance: clients switch on `ProjectNotFound`."""

    code = "NotFound"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class ConflictError(RagError):
    code = "Conflict"


class OverloadedError(RagError):
    code = "Overloaded"


class StorageFullError(RagError):
    code = "StorageFull"


class UpstreamError(RagError):
    """`retry_after` is what the other server said in its header of that name, where it said a number of seconds."""

    code = "UpstreamUnavailable"
    retry_after: int | None = None


class EmbeddingError(UpstreamError):
    code = "EmbeddingFailed"


class CancelledTaskError(RagError):
    code = "TaskCancelled"
