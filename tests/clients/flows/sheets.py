"""A workbook: its regions, and their tables as Parquet."""

from connect import FOLDER, PROJECT, client, fetch, report, upload

cloud = client()
here = {"project_id": PROJECT}
sheets = cloud.beta.sheets
job = sheets.parse(file_id=upload(cloud, "prices.xlsx"), config={"sheet_names": ["Prices"]}, **here)
tables = [each for each in job.regions if each.region_type == "table"]
link = sheets.get_result_table("table", spreadsheet_job_id=job.id, region_id=tables[0].region_id, **here)
(FOLDER / f"{PROJECT}.parquet").write_bytes(fetch(link.url))
cells = sheets.get_result_table("cell_metadata", spreadsheet_job_id=job.id, region_id=tables[0].region_id, **here)
(FOLDER / f"{PROJECT}-cells.parquet").write_bytes(fetch(cells.url))
listed = [each.id for each in sheets.list(page_size=1, **here)]
sheets.delete_job(job.id, **here)
report(
    status=job.status,
    location=tables[0].location,
    sheet=tables[0].sheet_name,
    listed=job.id in listed,
    left=[each.id for each in sheets.list(**here)],
)
