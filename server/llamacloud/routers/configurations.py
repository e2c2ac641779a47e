"""Saved configurations, which other operations name by id."""

from typing import Annotated

from fastapi import Depends, Query, Response

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.configurations import (
    ConfigurationCreate,
    ConfigurationPage,
    ConfigurationUpdate,
    ConfigurationView,
)
from server.llamacloud.schemas.text import Plain
from server.llamacloud.services.configurations import Configurations
from server.routing import Router

router = Router(prefix="/api", tags=["configurations"])
PATH = "/v1/beta/configurations"


async def get_service(cloud: CloudDep) -> Configurations:
    return Configurations(cloud)


ConfigurationsDep = Annotated[Configurations, Depends(get_service)]


@router.post(PATH, operation_id="cloud_configurations_create")
def create(body: ConfigurationCreate, scope: ScopeDep, configurations: ConfigurationsDep) -> ConfigurationView:
    """Save the parameters of a product under an id."""
    return configurations.create(scope, body)


@router.get(PATH, operation_id="cloud_configurations_list")
def list_configurations(
    scope: ScopeDep,
    configurations: ConfigurationsDep,
    name: Annotated[Plain | None, Query(description="Exactly this name.")] = None,
    product_type: Annotated[list[Plain] | None, Query(description="Repeat the key for several.")] = None,
    latest_only: Annotated[bool, Query(description="Of several of one name, the youngest alone.")] = False,
    page_size: Annotated[int | None, Query(ge=1)] = None,
    page_token: str | None = None,
) -> ConfigurationPage:
    """List the saved configurations of a project, in the order of their making."""
    return configurations.page(
        scope,
        name=name,
        product_types=product_type or (),
        latest_only=latest_only,
        token=page_token,
        size=page_size,
    )


@router.get(f"{PATH}/{{config_id}}", operation_id="cloud_configurations_get")
def get_configuration(config_id: str, scope: ScopeDep, configurations: ConfigurationsDep) -> ConfigurationView:
    """Look at a saved configuration with all its parameters."""
    return configurations.get(config_id, scope)


@router.put(f"{PATH}/{{config_id}}", operation_id="cloud_configurations_update")
def update(
    config_id: str, body: ConfigurationUpdate, scope: ScopeDep, configurations: ConfigurationsDep
) -> ConfigurationView:
    """Rename a configuration, or replace its parameters; these get a new version."""
    return configurations.update(config_id, scope, body)


@router.delete(f"{PATH}/{{config_id}}", operation_id="cloud_configurations_delete", status_code=204)
def delete(config_id: str, scope: ScopeDep, configurations: ConfigurationsDep) -> Response:
    """Delete a saved configuration; what runs with it goes on."""
    configurations.delete(config_id, scope)
    return Response(status_code=204)
