"""Documents of an agent: kept, searched, counted, changed and deleted."""

from connect import PROJECT, client, report

cloud = client()
data = cloud.beta.agent_data
place = {"deployment_name": f"agent-{PROJECT}", "collection": "bills", "project_id": PROJECT}
create = data.create if hasattr(data, "create") else data.agent_data
items = [
    create(data={"number": number, "state": "open" if number % 2 else "paid", "who": {"name": f"n{number}"}}, **place)
    for number in range(1, 8)
]
paid = {"state": {"eq": "paid"}}
found = data.search(**place, filter=paid, order_by="data.number desc", page_size=2, include_total=True)
total = found.total_size
ordered = [item.data["number"] for item in data.search(**place, filter=paid, order_by="data.number desc", page_size=2)]
between = {"number": {"gt": 2, "lte": 5}}
groups = {
    each.group_key["state"]: each.count for each in data.aggregate(**place, group_by=["state"], count=True, page_size=1)
}
changed = data.update(items[0].id, data={"number": 100}, project_id=PROJECT)
read = data.get(items[0].id, project_id=PROJECT)
removed = data.delete(items[1].id, project_id=PROJECT)
ranged = sorted(item.data["number"] for item in data.search(**place, filter=between))
deleted = data.delete_by_query(**place, filter=paid).deleted_count
left = sorted(item.data["number"] for item in data.search(**place))
report(
    total=total,
    ordered=ordered,
    groups=groups,
    changed=changed.data,
    read=read.data,
    is_moved=read.updated_at >= read.created_at,
    removed=removed,
    ranged=ranged,
    deleted=deleted,
    left=left,
)
