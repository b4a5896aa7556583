"""Session stores: one contract (`base`), the formats behind it, and opening whatever lies at a path."""

from sessionlab.stores.base import Fingerprint, Problem, SessionStore, SessionSummary, StoreStats
from sessionlab.stores.opening import StoreLocation, find_state_dir, locate, open_at, open_store

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
    "open_store",
]
