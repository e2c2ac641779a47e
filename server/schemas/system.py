"""Wire models of what the server says about itself and its machine."""

from pydantic import BaseModel, Field

from server.schemas.model_cache import DiskUsage


class InstallCommands(BaseModel):
    mac_linux: str
    windows: str


class VersionCheck(BaseModel):
    """`latest_version` is the tag of the latest release; without a check, the version that runs."""

    current_version: str
    latest_version: str
    name: str
    release_notes: str
    release_url: str
    published_at: str
    from_cache: bool = Field(description="Whether the answer is one of the last 6 hours.")
    checked: bool = Field(description="False when LF_RELEASES_URL is unset: nobody was asked.")
    install: InstallCommands


class Disks(BaseModel):
    """`cache` is where models are kept, `system` where the data directory is."""

    cache: DiskUsage
    system: DiskUsage
