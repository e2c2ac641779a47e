"""Whole flows with PostgreSQL as the state: the same tests that run on SQLite in the modules named here."""

import pytest

from tests.cloud import (
    test_agent_data,
    test_batch_processing,
    test_directory_files,
    test_indexes,
    test_pipelines,
    test_projects,
    test_retrieval,
    test_sync,
    test_upkeep,
)
from tests.cloud.test_directory_files import files  # noqa: F401  # a fixture
from tests.cloud.test_retrieval import index, tagged  # noqa: F401  # fixtures

pytestmark = pytest.mark.state("postgresql")

FLOWS = (
    test_agent_data.test_a_document_is_kept_without_loss,
    test_agent_data.test_a_search_filters_orders_and_pages,
    test_agent_data.test_the_times_of_an_item_can_be_filtered_and_ordered_by,
    test_agent_data.test_aggregation_counts_and_shows_the_oldest_of_each_group,
    test_agent_data.test_deletion_by_query_says_how_many,
    test_batch_processing.test_every_file_of_a_directory_is_parsed_and_its_output_can_be_fetched,
    test_batch_processing.test_cancelling_ends_what_waits_and_cannot_be_done_twice,
    test_batch_processing.test_counters_add_up_at_every_moment_of_crashes_and_cancels,
    test_directory_files.test_adding_one_unique_id_at_once_makes_one_entry,
    test_directory_files.test_a_deleted_entry_is_hidden_and_gives_its_unique_id_free,
    test_directory_files.test_every_filter_narrows,
    test_indexes.test_a_new_index_is_not_ready_and_then_is,
    test_indexes.test_a_list_tells_what_each_index_tells_and_asks_no_more_for_more_of_them,
    test_indexes.test_deleting_removes_everything_made_and_leaves_the_directory,
    test_indexes.test_deleting_during_the_build_ends_it,
    test_pipelines.test_putting_a_name_makes_it_once_and_then_changes_it,
    test_pipelines.test_files_are_processed_and_counted,
    test_pipelines.test_cancelling_a_sync_takes_back_what_it_had_begun,
    test_projects.test_a_project_that_is_deleted_as_one_of_llamafarm_leaves_nothing,
    test_retrieval.test_each_result_is_exactly_what_reading_its_offsets_gives,
    test_retrieval.test_filters_are_applied_before_top_k,
    test_retrieval.test_changed_metadata_counts_at_once,
    test_sync.test_a_second_sync_without_a_change_embeds_nothing,
    test_sync.test_chunks_of_a_vanished_file_go,
    test_sync.test_a_worker_that_dies_while_it_embeds_loses_nothing,
    test_upkeep.test_jobs_of_long_ago_go_with_their_results,
    test_upkeep.test_syncs_of_long_ago_are_forgotten_but_for_the_last_of_each_collection,
)
globals().update({flow.__name__: flow for flow in FLOWS})
