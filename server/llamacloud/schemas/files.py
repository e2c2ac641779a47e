"""Uploaded files, as both of the vendor's generations of clients read them."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from server.llamacloud.links import PresignedURL
from server.llamacloud.schemas.text import Key, Name, Plain


class FileView(BaseModel):
    """An uploaded file."""

    id: str
    name: str = Field(description="As it was uploaded, without folders.")
    project_id: str
    file_size: int | None = Field(description="In bytes; null while a presigned upload has not arrived.")
    content_type: str | None = Field(description="By the first bytes, and by the name where these are text.")
    file_type: str | None = Field(description="The extension that goes with the content: pdf, docx, png …")
    purpose: str | None = None
    external_file_id: str | None = None
    data_source_id: str | None = None
    expires_at: datetime | None = Field(None, description="Always null: files stay until they are deleted.")
    last_modified_at: datetime | None = None
    permission_info: dict[str, Any] | None = None
    resource_info: dict[str, Any] | None = None
    download_url: PresignedURL | None = Field(None, description="With `expand=download_url`.")
    created_at: datetime
    updated_at: datetime


class FilePage(BaseModel):
    items: list[FileView]
    next_page_token: str | None = Field(description="Null on the last page.")
    total_size: int


class FileFilter(BaseModel):
    """All that are given must hold."""

    file_ids: list[Plain] | None = None
    file_name: Plain | None = None
    external_file_id: Plain | None = None
    data_source_id: Plain | None = None
    only_manually_uploaded: bool | None = None
    project_id: str | None = None


class FileQuery(BaseModel):
    filter: FileFilter | None = None
    order_by: str | None = None
    page_size: int | None = Field(None, ge=1)
    page_token: str | None = None


class UploadSlotRequest(BaseModel):
    """A file that will be sent to a link."""

    name: Name
    external_file_id: Key | None = None
    file_size: int | None = Field(None, ge=0, description="Checked against what arrives.")
    last_modified_at: datetime | None = None
    resource_info: dict[str, Any] | None = None
    permission_info: dict[str, Any] | None = None
    purpose: str | None = Field(None, max_length=100)


class UploadSlot(PresignedURL):
    """Where to PUT the bytes of a file, without any header."""

    file_id: str


class UploadFromUrl(BaseModel):
    url: str = Field(max_length=8_000)
    name: Name | None = Field(None, description="Absent: what the server that has the file calls it, or the address.")
    external_file_id: Key | None = None
    proxy_url: str | None = Field(None, description="Refused: the server goes its own way to the outside.")
    request_headers: dict[str, str | None] | None = None
    verify_ssl: bool | None = Field(None, description="False is refused.")
    follow_redirects: bool | None = None
    resource_info: dict[str, Any] | None = None
