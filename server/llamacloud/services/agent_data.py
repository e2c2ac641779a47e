"""Agents' documents: kept as sent, found by their values."""

from collections.abc import Mapping
from typing import Any

import orjson

from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.agent_data import (
    DEFAULT_COLLECTION,
    DEFAULT_PAGE_SIZE,
    AgentDataAggregate,
    AgentDataCreate,
    AgentDataPaged,
    AgentDataQuery,
    AgentDataSearch,
    AggregateGroup,
    AggregatePage,
)
from server.llamacloud.scope import Scope
from server.llamacloud.times import stamp
from state.cloud.agent_data import AgentDataStore, Search
from state.cloud.agent_documents import AgentItem, Place
from state.cloud.agent_groups import Grouping
from state.cloud.agent_orders import read_orders
from state.cloud.paging import page_size


class AgentDataService:
    """Items leave it as JSON text: a document is never read and written again on its way out."""

    def __init__(self, cloud: CloudEngine) -> None:
        self._cloud = cloud
        self._store = AgentDataStore(cloud.engine.database)

    def create(self, scope: Scope, body: AgentDataCreate) -> bytes:
        if not self._cloud.projects.exists(scope.project_id):
            self._cloud.projects.ensure(scope.project_id)
        place = Place(scope.project_id, body.deployment_name, body.collection or DEFAULT_COLLECTION)
        return _json(self._store.create(place, body.data))

    def get(self, scope: Scope, item_id: str) -> bytes:
        return _json(self._store.get(item_id, scope.visible))

    def replace(self, scope: Scope, item_id: str, data: Mapping[str, Any]) -> bytes:
        return _json(self._store.replace(item_id, data, scope.visible))

    def delete(self, scope: Scope, item_id: str) -> dict[str, str]:
        self._store.delete(item_id, scope.visible)
        return {"id": item_id, "status": "deleted"}

    def search(self, scope: Scope, body: AgentDataSearch) -> bytes:
        query = _search(scope, body, orders=read_orders(body.order_by), with_total=bool(body.include_total))
        page = self._store.search(query)
        return orjson.dumps(
            {
                "items": [orjson.Fragment(_json(each)) for each in page.items],
                "next_page_token": page.next_token,
                "total_size": page.total,
            }
        )

    def aggregate(self, scope: Scope, body: AgentDataAggregate) -> AggregatePage:
        orders = read_orders(body.order_by, record=False)
        fields = [each.removeprefix("data.") for each in body.group_by or ()]
        page = self._store.aggregate(_search(scope, body, orders=orders), Grouping(fields, orders))
        items = [
            AggregateGroup(
                group_key=dict(each.key),
                count=each.count if body.count else None,
                first_item=dict(each.first) if body.first and each.first is not None else None,
            )
            for each in page.items
        ]
        return AggregatePage(items=items, next_page_token=page.next_token)

    def delete_matching(self, scope: Scope, body: AgentDataQuery) -> int:
        return self._store.delete_matching(_place(scope, body), body.operations())


def _place(scope: Scope, body: AgentDataQuery) -> Place:
    return Place(scope.project_id, body.deployment_name, body.collection or DEFAULT_COLLECTION)


def _search(scope: Scope, body: AgentDataPaged, **more: Any) -> Search:
    return Search(
        _place(scope, body),
        body.operations(),
        offset=body.offset or 0,
        token=body.page_token,
        limit=page_size(body.page_size, DEFAULT_PAGE_SIZE),
        **more,
    )


def _json(item: AgentItem) -> bytes:
    return orjson.dumps(
        {
            "data": orjson.Fragment(item.data),
            "deployment_name": item.place.deployment,
            "id": item.id,
            "collection": item.place.collection,
            "created_at": stamp(item.created_at),
            "project_id": item.place.project_id,
            "updated_at": stamp(item.updated_at),
        }
    )
