"""What routes of the LlamaCloud API take as arguments. A service is made of CloudEngine in the router that uses it:

async def get_service(cloud: CloudDep) -> SheetsService:
    return SheetsService(cloud)
"""

from typing import Annotated

from fastapi import Depends, Header, Query, Request

from server.deps import KeyScopeDep, ServicesDep
from server.llamacloud.dialect import is_official_client
from server.llamacloud.engine import CloudEngine
from server.llamacloud.links import Links
from server.llamacloud.scope import Scope, scope_of


async def get_cloud(request: Request, services: ServicesDep) -> CloudEngine:
    state = request.app.state
    if getattr(state, "cloud", None) is None:
        state.cloud = CloudEngine.of(services)
    cloud = state.cloud
    assert isinstance(cloud, CloudEngine)
    return cloud


async def get_scope(
    request: Request,
    key: KeyScopeDep,
    project_id: Annotated[str | None, Query(description="Absent: the default project, or the key's own.")] = None,
    organization_id: Annotated[str | None, Query(description="There is one organization; any id is accepted.")] = None,
    header: Annotated[str | None, Header(alias="Project-Id", include_in_schema=False)] = None,
) -> Scope:
    return scope_of(project_id, header, key).within(_named_in_body(request))


def _named_in_body(request: Request) -> str | None:
    """Clients may name the project of what they make beside its other fields.

    Only of a JSON body that was read already for the route's own model: others are streams.
    """
    body = getattr(request, "_json", None) if request.method == "POST" else None
    named = body.get("project_id") if isinstance(body, dict) else None
    return named if isinstance(named, str) and named else None


async def get_links(request: Request, cloud: "CloudDep") -> Links:
    return Links(cloud.signer, cloud.settings.public_url or str(request.base_url))


async def get_is_official(request: Request) -> bool:
    return is_official_client(request.headers)


CloudDep = Annotated[CloudEngine, Depends(get_cloud)]
ScopeDep = Annotated[Scope, Depends(get_scope)]
LinksDep = Annotated[Links, Depends(get_links)]
OfficialDep = Annotated[bool, Depends(get_is_official)]
"""Whether the vendor's own client asks: where words collide, it gets its own (see dialect.py)."""
