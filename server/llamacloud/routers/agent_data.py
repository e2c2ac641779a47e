"""Agent data: JSON documents that agents keep, search and count."""

from typing import Annotated

from fastapi import Depends, Response

from server.llamacloud.deps import CloudDep, ScopeDep
from server.llamacloud.schemas.agent_data import (
    AgentData,
    AgentDataAggregate,
    AgentDataCreate,
    AgentDataDelete,
    AgentDataDeleted,
    AgentDataPage,
    AgentDataSearch,
    AgentDataUpdate,
    AggregatePage,
)
from server.llamacloud.services.agent_data import AgentDataService
from server.routing import Router

router = Router(prefix="/api", tags=["agent data"])
PATH = "/v1/beta/agent-data"


async def get_service(cloud: CloudDep) -> AgentDataService:
    return AgentDataService(cloud)


ServiceDep = Annotated[AgentDataService, Depends(get_service)]


def _written(content: bytes) -> Response:
    """Documents are sent as they are kept."""
    return Response(content, media_type="application/json")


@router.post(PATH, operation_id="cloud_agent_data_create", response_model=AgentData)
def create_agent_data(body: AgentDataCreate, scope: ScopeDep, service: ServiceDep) -> Response:
    """Keep a JSON document in a collection of a deployment."""
    return _written(service.create(scope, body))


@router.post(f"{PATH}/:search", operation_id="cloud_agent_data_search", response_model=AgentDataPage)
def search_agent_data(body: AgentDataSearch, scope: ScopeDep, service: ServiceDep) -> Response:
    """The documents of a collection that meet a filter, in an order, page by page."""
    return _written(service.search(scope, body))


@router.post(f"{PATH}/:aggregate", operation_id="cloud_agent_data_aggregate")
def aggregate_agent_data(body: AgentDataAggregate, scope: ScopeDep, service: ServiceDep) -> AggregatePage:
    """Groups of documents with equal values: how many each has, and its oldest document."""
    return service.aggregate(scope, body)


@router.post(f"{PATH}/:delete", operation_id="cloud_agent_data_delete_by_query")
def delete_agent_data_by_query(body: AgentDataDelete, scope: ScopeDep, service: ServiceDep) -> AgentDataDeleted:
    """Delete the documents that meet a filter; without one, the whole collection.

    A filter that restricts nothing and unknown fields are refused."""
    return AgentDataDeleted(deleted_count=service.delete_matching(scope, body))


@router.get(f"{PATH}/{{item_id}}", operation_id="cloud_agent_data_get", response_model=AgentData)
def get_agent_data(item_id: str, scope: ScopeDep, service: ServiceDep) -> Response:
    """One document, exactly as it was sent."""
    return _written(service.get(scope, item_id))


@router.put(f"{PATH}/{{item_id}}", operation_id="cloud_agent_data_update", response_model=AgentData)
def update_agent_data(item_id: str, body: AgentDataUpdate, scope: ScopeDep, service: ServiceDep) -> Response:
    """Put another document in its place; id, collection and time of creation stay."""
    return _written(service.replace(scope, item_id, body.data))


@router.delete(f"{PATH}/{{item_id}}", operation_id="cloud_agent_data_delete")
def delete_agent_data(item_id: str, scope: ScopeDep, service: ServiceDep) -> dict[str, str]:
    """Delete one document; the answer names it."""
    return service.delete(scope, item_id)
