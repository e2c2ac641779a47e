"""What the server says about itself and its machine."""

from typing import Any

from server.deps import ModelCacheDep, ReleaseServiceDep
from server.routing import Router
from server.schemas.errors import ERROR_RESPONSES, ErrorBody
from server.schemas.system import Disks, VersionCheck

RELEASE_RESPONSES: dict[int | str, dict[str, Any]] = {
    502: {"model": ErrorBody, "description": "The latest release is not a finished one."},
    503: ERROR_RESPONSES[503],
}

router = Router(tags=["system"])


@router.get("/v1/system/version-check", operation_id="version_check", responses=RELEASE_RESPONSES)
async def check_version(releases: ReleaseServiceDep) -> VersionCheck:
    """Say whether there is a newer release.

    Nobody is asked unless the operator sets `LF_RELEASES_URL`; an answer is kept for 6 hours.
    """
    return await releases.check()


@router.get("/v1/system/disk", operation_id="disk_usage")
def get_disk_usage(cache: ModelCacheDep) -> Disks:
    """How full the disks are: of the model cache and of the data directory."""
    cached, system = cache.disks()
    return Disks(cache=cached, system=system)
