"""AsyncAgentDataClient: typed documents."""

import asyncio
from typing import Any

from connect import KEY, PROJECT, URL, report
from llama_cloud.client import AsyncLlamaCloud
from llama_cloud_services.beta.agent_data import AsyncAgentDataClient
from pydantic import BaseModel


class Bill(BaseModel):
    number: int
    state: str


async def flow() -> dict[str, Any]:
    client = AsyncLlamaCloud(token=KEY, base_url=URL)
    data = AsyncAgentDataClient(type=Bill, collection="bills", deployment_name=f"typed-{PROJECT}", client=client)
    made = [await data.create_item(Bill(number=n, state="open" if n % 2 else "paid")) for n in range(1, 6)]
    read = await data.get_item(made[0].id)
    changed = await data.update_item(made[0].id, Bill(number=100, state="open"))
    found = await data.search(filter={"state": {"eq": "open"}}, order_by="data.number desc", include_total=True)
    groups = await data.aggregate(group_by=["state"], count=True)
    await data.delete_item(made[1].id)
    left = await data.search()
    return {
        "read": read.data.model_dump(),
        "changed": changed.data.number,
        "found": [each.data.number for each in found.items],
        "total": found.total,
        "groups": {each.group_key["state"]: each.count for each in groups.items},
        "left": sorted(each.data.number for each in left.items),
    }


report(**asyncio.run(flow()))
