"""LlamaExtract: an agent by a schema, found again by its name, asked for a file."""

from connect import FOLDER, KEY, PROJECT, URL, report
from llama_cloud_services import LlamaExtract
from pydantic import BaseModel


class Load(BaseModel):
    crane: str
    kilograms: int


extract = LlamaExtract(api_key=KEY, base_url=URL, project_id=PROJECT, check_interval=1)
agent = extract.create_agent(name=f"loads {PROJECT}", data_schema=Load)
found = extract.get_agent(name=f"loads {PROJECT}")
run = found.extract(str(FOLDER / "handbook.pdf"))
names = [each.name for each in extract.list_agents()]
extract.delete_agent(agent.id)
report(status=run.status.value, data=run.data, is_same=found.id == agent.id, names=names)
