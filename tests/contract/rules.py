"""Owns which tests hold which rule of the contract: a rule reaches from the words that begin it to those that begin the next."""

RULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Two generations of the same resource exist",
        ("both_generations_by_the_sdk", "every_method_of_the_node_sdks_campaigns_client_works_in_both_generations"),
    ),
    ("| create / list / get / patch / delete |", ("both_generations_by_the_sdk", "answers_to_writes_are_what_both_documents_say")),
    ("| handled by |", ("exactly_one_target", "v2_refuses_what_only_v1_takes")),
    ("| numbers |", ("phone_number_and_customers_or_a_dial_plan", "v2_refuses_what_only_v1_takes")),
    ("| get returns |", ("a_campaign_reads_the_same_after_it_was_created", "v2_answers_summaries_and_counters_where_asked")),
    (
        "| edit |",
        (
            "a_scheduled_campaign_can_be_edited",
            "a_campaign_under_way_takes_a_name_and_nothing_else",
            "archiving_cancels_what_is_active_and_forbids_every_edit",
        ),
    ),
    ("| stop |", ("stopping_ends_the_campaign_at_once_and_again_changes_nothing", "v2_stops_to_cancelled_and_deletes_to_archived")),
    ("| answers |", ("a_list_holds_campaigns_newest_first_without_calls_and_customers", "v2_answers_summaries_and_counters_where_asked")),
    ("| DELETE |", ("a_deleted_campaign_is_answered_as_ended_and_gone_from_then_on", "v2_stops_to_cancelled_and_deletes_to_archived")),
    (
        "| copy |",
        (
            "duplicating_is_refused",
            "what_is_not_given_is_copied_the_customers_too",
            "given_fields_win_and_overrides_merge_key_by_key",
            "given_customers_replace_the_sources",
        ),
    ),
    (
        "- Auth:",
        (
            "requests_without_a_valid_key_are_401",
            "any_request_with_another_orgs_id_is_404_and_changes_nothing",
            "another_orgs_dead_webhooks_are_as_if_absent",
        ),
    ),
    ("- POST answers 201", ("a_created_campaign_is_answered_whole_with_201", "an_edit_changes_what_it_names")),
    ("- Limits [D]:", ("ten_thousand_customers_and_no_more", "the_customers_fields_have_their_length")),
    ("variable values under 100,000", ("variable_values_stay_under_100_000_characters",)),
    (
        "`maxConcurrency` 1-500",
        (
            "max_concurrency_is_a_whole_number_from_1_to_500",
            "max_concurrency_defaults_to_ten",
            "a_concurrency_above_the_orgs_limit_is_400_and_says_the_limit",
        ),
    ),
    ("`predialPlan` needs `server`", ("pre_dial_needs_a_server", "the_customers_fields_have_their_length")),
    ("- Exactly one target;", ("exactly_one_target", "phone_number_and_customers_or_a_dial_plan", "v2_refuses_what_only_v1_takes")),
    (
        "- `number` must be E.164",
        ("e164_numbers_are_taken", "other_numbers_need_the_check_switched_off", "without_the_check_letters_and_digits_are_taken"),
    ),
    ("`sipUri` may stand in for it", ("a_sip_uri_may_stand_in_for_the_number",)),
    (
        "- An explicit `null` counts as absent",
        ("an_explicit_null_counts_as_absent_but_not_inside_variable_values", "nulls_count_as_absent_but_inside_variable_values"),
    ),
    ("Whole floats", ("whole_floats_and_empty_values_are_taken", "max_concurrency_is_a_whole_number_from_1_to_500")),
    ("PATCH `{}` is 200", ("an_empty_edit_changes_nothing",)),
    ("a new target replaces the old one", ("a_new_target_takes_the_place_of_the_old_one",)),
    ("- Bodies up to 64 MiB", ("a_body_above_64_mib_is_413_however_it_comes", "a_campaign_with_a_megabyte_of_variables_is_created")),
    ("- Unknown fields are refused", ("unknown_fields_are_refused_by_their_path", "each_broken_rule_is_one_message_with_its_path")),
    ("- `latestAt` must be after", ("latest_must_be_after_earliest", "a_schedule_needs_an_earliest_instant_with_an_offset")),
    (
        "- List [D]:",
        ("the_contracts_parameters_are_told", "pages_hold_each_campaign_once", "filters_by_time_compare_with_what_is_answered"),
    ),
    ('Body `{"results"', ("pages_hold_each_campaign_once", "answers_to_reads_are_what_both_documents_say")),
    (
        "Archived and deleted campaigns stay out",
        (
            "archived_campaigns_are_listed_only_where_the_status_asks_for_them",
            "a_deleted_campaign_is_answered_as_ended_and_gone_from_then_on",
        ),
    ),
    ("`limit` below 1", ("a_broken_parameter_is_400",)),
    ("`nextCursor` is never sent", ("no_list_holds_a_next_cursor",)),
    ("Filters compare at", ("filters_by_time_compare_with_what_is_answered",)),
    ("A malformed id is 404", ("an_unknown_or_malformed_id_is_404",)),
    ("- Contacts [D]:", ("contacts_come_in_pages_by_position_or_status", "answers_to_reads_are_what_both_documents_say")),
    ("One shape everywhere [O]:", ("refusals_have_the_one_shape", "unknown_routes_and_methods_are_answered_in_the_one_shape")),
    ("400 invalid, or the campaign's state", ("each_broken_rule_is_one_message_with_its_path", "an_edit_that_the_state_forbids_is_400")),
    (
        "401 missing or wrong key",
        (
            "requests_without_a_valid_key_are_401",
            "a_key_revoked_by_another_process_is_refused_within_a_second",
            "an_expired_key_is_refused",
        ),
    ),
    ("404 unknown here", ("an_unknown_or_malformed_id_is_404", "any_request_with_another_orgs_id_is_404_and_changes_nothing")),
    ("413 too large", ("a_body_above_64_mib_is_413_however_it_comes", "an_upload_that_is_too_large_is_refused")),
    ("415 not JSON", ("a_body_that_is_not_json_is_400_and_one_not_declared_so_415", "only_csv_in_utf_8_and_json_are_taken")),
    ("429 rate limited", ("requests_beyond_a_keys_rate_are_429_until_it_may_ask_again", "an_orgs_keys_share_its_rate")),
    ("503 the log cannot take it now", ("a_log_that_takes_nothing_is_503", "without_a_broker_writes_are_503_and_reads_go_on")),
    (
        "2xx means that the command is durably",
        ("a_created_campaign_is_answered_whole_with_201", "a_creation_cut_short_by_kills_is_finished_by_its_repeat"),
    ),
    ("No 409, and no 202", ("refusals_are_what_the_document_says", "every_operation_tells_of_the_contracts_statuses_only")),
    ("Stopping a stopped campaign is 200", ("stopping_ends_the_campaign_at_once_and_again_changes_nothing",)),
    ("A stream that fails midway", ("a_stream_that_fails_midway_cuts_the_connection",)),
    ("Both stock SDKs repeat a POST", ("the_sdks_own_repeat_after_a_dropped_connection_makes_no_second_campaign",)),
    (
        "- Once a command may be in the log",
        ("a_command_that_may_be_written_is_503_and_its_repeat_joins", "a_repeat_of_what_was_rejected_names_the_command_that_was"),
    ),
    ("If only the read model is away", ("where_the_projector_is_away_answers_are_built_from_the_events",)),
    ("After 50 seconds 503", ("a_command_that_may_be_written_is_503_and_its_repeat_joins",)),
    (
        "- Before appending, remember",
        (
            "an_equal_request_joins_the_one_in_flight",
            "a_request_that_was_never_answered_is_joined_after_a_restart",
            "a_request_that_was_not_answered_is_forgotten_after_ten_minutes",
        ),
    ),
    (
        "Two equal POSTs that were both answered",
        ("two_equal_requests_that_were_both_answered_are_two_campaigns", "within_the_window_an_equal_request_joins_one_that_was_answered"),
    ),
    (
        "- `Idempotency-Key`:",
        (
            "the_same_key_adds_once_and_another_body_under_it_is_refused",
            "the_engine_tells_another_body_under_a_key_from_a_repeat_where_the_api_has_forgotten_the_first",
            "a_keyed_replay_is_carried_out_once_and_answered_the_same",
        ),
    ),
    (
        "`scheduled` -> `in-progress` -> `ended`",
        (
            "a_campaign_over_http_runs_to_its_end_with_every_customer_dialed_once",
            "stopping_before_the_first_call_says_so",
            "v2_stops_to_cancelled_and_deletes_to_archived",
        ),
    ),
    ("Paused is no status", ("pause_is_no_status_and_resuming_offers_unclaimed_calls_again",)),
    (
        "- `scheduled`: waiting for",
        ("a_schedule_in_the_future_starts_when_the_clock_is_moved_there", "calls_that_were_dispatched_show_in_the_counters_and_the_map"),
    ),
    (
        "- `endedReason` [D]: `campaign.ended.success`",
        (
            "a_campaign_ends_with_success_when_every_call_is_over_by_itself",
            "stopping_before_the_first_call_says_so",
            "stopping_during_the_run_lets_calls_under_way_finish",
        ),
    ),
    (
        "- Stopping changes the status at once",
        ("stopping_changes_the_status_at_once_and_pending_calls_end_as_skipped", "stopping_lets_calls_under_way_finish_and_drops_the_rest"),
    ),
    (
        "- Optional fields without a value",
        ("answers_to_reads_are_what_both_documents_say", "a_created_campaign_is_answered_whole_with_201"),
    ),
    (
        "- Calls begin at `earliestAt`",
        ("calls_begin_at_earliest_at_and_not_before", "a_campaign_without_a_plan_starts_at_once_in_the_order_of_its_customers"),
    ),
    (
        "- The moment a call ends the next",
        (
            "the_next_call_is_dispatched_the_moment_one_ends",
            "the_orgs_limit_holds_over_all_its_campaigns_and_is_shared_fairly",
            "limits_hold_at_every_instant_and_the_log_alone_gives_the_same_state",
        ),
    ),
    (
        "- The hour [D]:",
        (
            "the_hour_begins_when_the_orgs_limit_first_holds_a_call_back",
            "what_the_orgs_limit_still_holds_back_after_the_hour_is_not_placed",
            "no_call_is_queued_from_latest_at_on",
        ),
    ),
    ("Waiting under the campaign's own", ("waiting_under_the_campaigns_own_limit_never_ends_a_call",)),
    ("The state of a call so dropped", ("what_the_orgs_limit_still_holds_back_after_the_hour_is_not_placed", "each_end_has_its_reason")),
    ("The hour is a setting", ("an_hour_of_zero_means_until_done",)),
    (
        "- Call status:",
        ("calls_count_as_scheduled_queued_in_progress_and_ended_while_they_pass_through", "reports_move_a_call_forward_only"),
    ),
    ("- `calls` is a map", ("calls_that_were_dispatched_show_in_the_counters_and_the_map", "calls_are_strings_where_the_setting_says_so")),
    (
        "- The five counters say",
        (
            "calls_count_as_scheduled_queued_in_progress_and_ended_while_they_pass_through",
            "ringing_in_progress_and_forwarding_all_count_as_in_progress",
            "voicemail_completes_the_contact_and_is_dialed_but_not_connected",
        ),
    ),
    ("- `endedReason` of a call", ("broken_details_are_left_out_and_the_end_is_kept", "each_end_has_its_reason")),
    (
        "- Contact status follows the call",
        ("the_end_of_a_call_says_what_became_of_its_contact", "stopping_changes_the_status_at_once_and_pending_calls_end_as_skipped"),
    ),
    ("- At every moment scheduled", ("after_every_event_the_counters_equal_a_recount_and_states_never_go_back",)),
    (
        "- `callMetrics.dialed`",
        ("voicemail_completes_the_contact_and_is_dialed_but_not_connected", "a_call_that_was_never_placed_is_not_dialed"),
    ),
    (
        "- Pre-dial, blocking",
        (
            "the_question_names_the_contact_as_the_contract_says",
            "only_a_2xx_with_a_boolean_is_an_answer",
            "a_server_that_is_too_slow_or_away_is_a_failure",
            "pre_dial_that_says_no_or_fails_ends_the_call_unplaced",
        ),
    ),
    (
        "- Events, for each name",
        (
            "a_message_is_what_the_contract_says",
            "only_the_names_that_were_asked_for_are_told",
            "the_end_of_a_call_is_told_as_its_contacts_status",
        ),
    ),
    (
        "- `server`: `url`",
        ("the_campaigns_plan_decides_alone", "an_excluded_status_is_not_tried_again", "the_backoff_plan_says_how_often_it_is_asked_again"),
    ),
    (
        '`{"message":{"type":"status-update"',
        ("a_status_update_reads_its_timestamp_in_milliseconds_or_as_text", "what_we_do_not_know_is_confirmed_and_ignored"),
    ),
    (
        'and `{"message":{"type":"end-of-call-report"',
        ("a_campaign_ends_by_its_reports", "the_final_report_after_the_end_adds_its_analysis_once_and_not_too_late"),
    ),
    ("They may come twice, late", ("an_event_that_comes_again_at_any_later_time_changes_nothing", "reports_move_a_call_forward_only")),
    ("UTF-8, header row", ("a_row_that_is_not_utf_8_is_a_bad_line", "a_csv_without_a_usable_header_is_refused_as_a_whole")),
    ("every other populated column", ("every_other_populated_column_becomes_a_variable_under_its_exact_header",)),
    (
        "empty cells are left out",
        (
            "blank_lines_are_passed_over_and_short_rows_have_empty_cells",
            "every_other_populated_column_becomes_a_variable_under_its_exact_header",
        ),
    ),
    ("parentheses, spaces, dashes", ("parentheses_spaces_dashes_and_single_quotes_are_stripped_from_numbers",)),
    ("`GET /call?campaignId=` answers", ("calls_are_answered_by_themselves_newest_first",)),
    ("`GET /call/{id}` one", ("calls_are_answered_by_themselves_newest_first", "answers_to_reads_are_what_both_documents_say")),
    ("`campaign.unarchived` and other names", ("names_that_are_never_sent_are_accepted",)),
)
"""In the order of the contract. Tests stand without their `test_`."""
