"""Files that arrive inside of a request: a text, or bytes in base64."""

import base64
import binascii
import mimetypes

from rag.errors import BadRequestError
from server.llamacloud.engine import CloudEngine
from server.llamacloud.services.files import FileService
from state.cloud.objects import CloudObject

MAX_SUFFIX_CHARS = 10
PURPOSE = "extract"


def keep_text(cloud: CloudEngine, project_id: str, text: str) -> CloudObject:
    """Raises BadRequestError for a text without words."""
    if not text.strip():
        raise BadRequestError("text is empty: give what is to be read")
    return keep_bytes(cloud, project_id, "text.txt", text.encode("utf-8", "replace"))


def keep_base64(cloud: CloudEngine, project_id: str, data: str, mime_type: str) -> CloudObject:
    """Raises BadRequestError for what is no base64."""
    try:
        content = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError("file.data is not base64") from error
    if not content:
        raise BadRequestError("file.data is empty")
    suffix = mimetypes.guess_extension(mime_type.partition(";")[0].strip()) or ""
    return keep_bytes(cloud, project_id, f"file{suffix[:MAX_SUFFIX_CHARS]}", content)


def keep_bytes(cloud: CloudEngine, project_id: str, name: str, content: bytes) -> CloudObject:
    """An uploaded file like any other."""
    service = FileService(cloud)
    with service.target(project_id).receive(cloud.settings.max_upload_bytes) as incoming:
        incoming.write(content)
        return service.put(project_id, incoming, name, {"purpose": PURPOSE, "external_file_id": None})
