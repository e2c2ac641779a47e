"""A pipeline over files and documents, with the generated packages."""

from connect import PROJECT, client, report, upload, wait

cloud = client()
here = {"project_id": PROJECT}
pipeline = cloud.pipelines.upsert(name="manuals", **here)
again = cloud.pipelines.upsert(name="manuals", **here)
file_id = upload(cloud, "handbook.pdf")
added = cloud.pipelines.files.create(pipeline.id, body=[{"file_id": file_id, "custom_metadata": {"team": "cranes"}}])
cloud.pipelines.documents.create(
    pipeline.id, body=[{"id": "d1", "text": "Rope RX-9 is replaced every 18 months.", "metadata": {"team": "ropes"}}]
)


def ended() -> bool:
    states = cloud.pipelines.files.get_status_counts(pipeline.id).counts
    document = cloud.pipelines.documents.get_status("d1", pipeline_id=pipeline.id).status
    return states.get("SUCCESS") == 1 and document == "SUCCESS"


wait("all is indexed", ended)
best = cloud.pipelines.retrieve(
    pipeline.id, query="What does the crane lift?", dense_similarity_top_k=3
).retrieval_nodes
ropes = {"filters": [{"key": "team", "operator": "==", "value": "ropes"}]}
filtered = cloud.pipelines.retrieve(pipeline.id, query="crane", search_filters=ropes).retrieval_nodes
listed = [each.id for each in cloud.pipelines.list(pipeline_name="manuals", **here)]
files = cloud.pipelines.files.list(pipeline.id)
synced = cloud.pipelines.sync.create(pipeline.id)
report(
    is_same=pipeline.id == again.id,
    added=[each.pipeline_id == pipeline.id for each in added],
    status=cloud.pipelines.files.get_status(file_id, pipeline_id=pipeline.id).status,
    best=best[0].node.text,
    score=best[0].score,
    filtered=[each.node.text for each in filtered],
    is_listed=listed == [pipeline.id],
    files=[each.name for each in files],
    synced=synced.id == pipeline.id,
    kept=cloud.pipelines.documents.get("d1", pipeline_id=pipeline.id).text,
)
cloud.pipelines.delete(pipeline.id)
