"""Extraction as version 1.6 has it: an agent, a job, its result."""

from connect import PROJECT, client, report, upload

cloud = client()
schema = {"type": "object", "properties": {"crane": {"type": "string"}, "kilograms": {"type": "integer"}}}
agents = cloud.extraction.extraction_agents
agent = agents.create(name=f"cranes {PROJECT}", data_schema=schema, config={}, project_id=PROJECT)
file_id = upload(cloud, "handbook.pdf")
result = cloud.extraction.jobs.extract(extraction_agent_id=agent.id, file_id=file_id)
listed = [each.id for each in agents.list(project_id=PROJECT)]
agents.delete(agent.id)
report(data=result.data, metadata=result.extraction_metadata, is_listed=agent.id in listed)
