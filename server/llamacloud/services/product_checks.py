"""Parameters of products, checked when they are saved as when the product is run with them."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from rag.errors import InvalidInputError
from rag.extraction.schemas import read_schema
from rag.extraction.wishes import read_wish
from rag.sheets.places import read_range
from server.llamacloud.engine import CloudEngine
from server.llamacloud.schemas.classify import ClassifyConfiguration
from server.llamacloud.schemas.sheets import SheetsConfig
from server.llamacloud.schemas.split import SplitConfiguration
from server.llamacloud.services.job_input import read_pages
from server.llamacloud.services.parse_configuration import check_parameters, second_generation
from server.problems import sentence

Model = TypeVar("Model", bound=BaseModel)
Parameters = Mapping[str, Any]


def check_product(cloud: CloudEngine, parameters: Parameters, project_id: str) -> None:
    """What is wrong with them is told to whoever saves them, not to whoever runs them later.

    Raises:
        InvalidInputError: no job could be run with them.
    """
    if parameters["product_type"] == "parse_v2":
        check_parameters(cloud, second_generation(parameters), project_id)
    else:
        _CHECKS[parameters["product_type"]](parameters)


def _check_extract(parameters: Parameters) -> None:
    read_wish(parameters)
    if parameters.get("data_schema") not in (None, "", {}):  # it may come with each job instead
        read_schema(parameters["data_schema"])


def _check_classify(parameters: Parameters) -> None:
    parsing = _read(ClassifyConfiguration, parameters).parsing_configuration
    if parsing is not None and parsing.target_pages is not None:
        read_pages(parsing.target_pages)


def _check_split(parameters: Parameters) -> None:
    pages = _read(SplitConfiguration, parameters).target_pages
    if pages is not None:
        read_pages(pages)


def _check_sheets(parameters: Parameters) -> None:
    cells = _read(SheetsConfig, parameters).extraction_range
    if cells is not None:
        read_range(cells)


def _read(model: type[Model], parameters: Parameters) -> Model:
    try:
        return model.model_validate(parameters)
    except ValidationError as error:
        raise InvalidInputError(sentence(error, parameters, "parameters")) from error


_CHECKS: Final[Mapping[str, Callable[[Parameters], None]]] = {
    "extract_v2": _check_extract,
    "classify_v2": _check_classify,
    "split_v1": _check_split,
    "spreadsheet_v1": _check_sheets,
}
