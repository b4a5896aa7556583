"""The lab's figures: frames of `lab.queries` in, plotly figures out.

Every function is pure and deterministic: the same frames give the same JSON. Data are plain lists with rounded numbers,
`layout.meta` carries `alt` (one sentence that replaces the picture) and `caption`. Empty frames give a figure that says why.
Importing the package loads neither plotly nor pandas.
"""

from sessionlab.lab.figures.cost import cost_by_day, tokens_by_day
from sessionlab.lab.figures.cron import cron_accumulation
from sessionlab.lab.figures.forecast import size_forecast
from sessionlab.lab.figures.growth import bytes_over_time, created_and_active, sessions_over_time
from sessionlab.lab.figures.migration import size_before_and_after
from sessionlab.lab.figures.problems import problems_by_code
from sessionlab.lab.figures.size import biggest_sessions, bytes_by_field, bytes_by_kind, size_distribution, size_treemap
from sessionlab.lab.figures.stale import age_distribution, stale_share
from sessionlab.lab.figures.storage import inside_the_store, storage_parts, transcripts_by_source
from sessionlab.lab.figures.stores import bytes_per_update, listing_memory, operation_times

__all__ = [
    "age_distribution",
    "biggest_sessions",
    "bytes_by_field",
    "bytes_by_kind",
    "bytes_over_time",
    "bytes_per_update",
    "cost_by_day",
    "created_and_active",
    "cron_accumulation",
    "inside_the_store",
    "listing_memory",
    "operation_times",
    "problems_by_code",
    "sessions_over_time",
    "size_before_and_after",
    "size_distribution",
    "size_forecast",
    "size_treemap",
    "stale_share",
    "storage_parts",
    "tokens_by_day",
    "transcripts_by_source",
]
