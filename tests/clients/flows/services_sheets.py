"""LlamaSheets: regions of a workbook as data frames."""

import asyncio
from typing import Any

from connect import FOLDER, KEY, PROJECT, URL, report
from llama_cloud_services.beta.sheets import LlamaSheets


async def flow() -> Any:
    sheets = LlamaSheets(api_key=KEY, base_url=URL, project_id=PROJECT, poll_interval=1)
    job = await sheets.aextract_regions(str(FOLDER / "prices.xlsx"))
    tables = [each for each in job.regions if str(each.region_type) == "table"]
    frame = await sheets.adownload_region_as_dataframe(
        job_id=job.id, region_id=tables[0].region_id, result_type=tables[0].region_type
    )
    return job, frame


job, frame = asyncio.run(flow())
report(
    status=str(getattr(job.status, "value", job.status)),
    columns=[str(each) for each in frame.columns],
    rows=frame.astype(str).values.tolist(),
)
