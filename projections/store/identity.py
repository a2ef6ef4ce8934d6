"""Owns what the read model remembers of its origin: the fold, the log, and over how many partitions the log spreads its orgs."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from projections.store.port import ReadModelMismatchError
from projections.store.row_writing import insert_once
from projections.store.tables import meta

FOLD_VERSION = 4
"""Goes up whenever the same log would fold into other rows; the read model then has to be rebuilt."""
_CLUSTER, _TOPIC, _PARTITIONS = "cluster id", "topic id", "partitions"


def identity_of(fold_version: int, cluster_id: str, topic_id: str, partitions: int) -> dict[str, str]:
    """By the names in `meta`."""
    return {"fold version": str(fold_version), _CLUSTER: cluster_id, _TOPIC: topic_id, _PARTITIONS: str(partitions)}


def remember(connection: Connection, given: Mapping[str, str]) -> None:
    """What is not remembered yet, as the partitions are not by older releases; raises `ReadModelMismatchError` where the rest differs."""
    for name, value in given.items():
        connection.execute(insert_once(connection.dialect, meta, {"name": name, "value": value}))
    require(connection, given)


def require(connection: Connection, given: Mapping[str, str]) -> None:
    """Raises `ReadModelMismatchError` where the rows are those of another fold or log; of what is not remembered yet nothing is said."""
    if not given:
        return
    stored = _stored(connection)
    _require_partitions(stored, given)
    for name, value in given.items():
        had = stored.get(name, value)
        if had != value:
            raise ReadModelMismatchError(
                f"the read model was folded with the {name} {had}, this is {value}: run `python -m services.projector rebuild`"
            )


def require_partitions(connection: Connection, given: Mapping[str, str]) -> None:
    """Raises `ReadModelMismatchError` where the same log had another number of partitions: nothing that is folded anew mends that."""
    _require_partitions(_stored(connection), given)


def _require_partitions(stored: Mapping[str, str], given: Mapping[str, str]) -> None:
    is_same_log = all(stored.get(name) == given[name] for name in (_CLUSTER, _TOPIC))
    if is_same_log and stored.get(_PARTITIONS, given[_PARTITIONS]) != given[_PARTITIONS]:
        had = stored[_PARTITIONS]
        raise ReadModelMismatchError(
            f"the log had {had} partitions, and this is {given[_PARTITIONS]}: enlarged topics can not be used, since orgs whose campaigns "
            f"stand on one partition have their commands go to another; copy each partition to topics with {had}"
        )


def _stored(connection: Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(select(meta))}
