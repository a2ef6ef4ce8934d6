"""How overrides merge."""

from events.overrides import deep_merged


def test_objects_merge_at_every_depth_and_anything_else_replaces() -> None:
    below, above = {"a": {"b": 1}, "c": [1]}, {"a": {"d": 2}, "c": [2]}
    assert deep_merged(below, above) == {"a": {"b": 1, "d": 2}, "c": [2]}


def test_merging_changes_neither_side() -> None:
    below, above = {"a": {"b": 1}, "c": [1]}, {"a": {"d": 2}, "c": [2]}
    deep_merged(below, above)
    assert (below, above) == ({"a": {"b": 1}, "c": [1]}, {"a": {"d": 2}, "c": [2]})
