"""Session stores: one contract (`base`, `writing`), the formats behind it, and opening whatever lies at a path."""

from sessionlab.stores.authority import refuse_split
from sessionlab.stores.base import Fingerprint, Problem, SessionStore, SessionSummary, StoreStats
from sessionlab.stores.locating import find_state_dir, locate
from sessionlab.stores.location import StoreLocation, open_at
from sessionlab.stores.opening import open_for_writing, open_store

__all__ = [
    "Fingerprint",
    "Problem",
    "SessionStore",
    "SessionSummary",
    "StoreLocation",
    "StoreStats",
    "find_state_dir",
    "locate",
    "open_at",
    "open_for_writing",
    "open_store",
    "refuse_split",
]
