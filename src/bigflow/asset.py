"""An asset of Airflow 3, which Airflow 2 calls a dataset."""

from __future__ import annotations


class Asset:
    """Data that one workflow updates, and that starts another: a URI.

    ``Job(outlets=[rides])`` updates it, and ``Workflow(schedule_interval=rides)`` runs after that.

    :param uri: the name by which Airflow knows it, such as ``"gs://bucket/rides"``. Airflow reads
        nothing there.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Asset) and other.uri == self.uri

    def __hash__(self) -> int:
        return hash(self.uri)

    def __repr__(self) -> str:
        return f"Asset({self.uri!r})"
