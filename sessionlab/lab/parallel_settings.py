"""What the reader of a notebook may choose of `agent.parallelSessions`: every setting, checked as if it stood in openclaw.json."""

from __future__ import annotations

from sessionlab.settings import ParallelSessionsSettings, parse_settings


def chosen_settings(
    *,
    enabled: bool = True,
    isolation: str = "per-channel",
    max_concurrent: int = 5,
    idle_timeout_ms: int = 300_000,
    memory_backend: str = "sqlite",
    memory_db_path: str = "",
    memory_enable_wal: bool = True,
    auto_promote_threshold: int = 8,
    default_ttl_ms: int = 0,
    briefing_enabled: bool = True,
    max_channel_memories: int = 10,
    max_global_knowledge: int = 5,
    min_importance: int = 5,
    min_confidence: float = 0.7,
    save_summaries: bool = True,
    save_decisions: bool = True,
    save_preferences: bool = True,
    save_action_items: bool = True,
    work_enabled: bool = False,
    work_poll_interval_ms: int = 5_000,
    work_max_concurrent: int = 1,
    work_execution_timeout_ms: int = 300_000,
) -> ParallelSessionsSettings:
    """Return the settings; the defaults are OpenClaw's but for `enabled`, without which nobody looks for idle sessions.

    Args are those of the same names there: `memory_*` to `default_ttl_ms` of `memory`, `briefing_enabled` to `min_confidence` of
    `briefing`, `save_*` of `autoSave`, `work_*` of `workExecutor`. An empty `memory_db_path` is none.

    Raises:
        SettingsError: One is not of its documented form; naming it.
    """
    section = {
        "enabled": enabled,
        "isolation": isolation,
        "maxConcurrent": max_concurrent,
        "idleTimeoutMs": idle_timeout_ms,
        "memory": {
            "backend": memory_backend,
            "dbPath": memory_db_path or None,
            "enableWAL": memory_enable_wal,
            "autoPromoteThreshold": auto_promote_threshold,
            "defaultTTLMs": default_ttl_ms,
        },
        "briefing": {
            "enabled": briefing_enabled,
            "maxChannelMemories": max_channel_memories,
            "maxGlobalKnowledge": max_global_knowledge,
            "minImportance": min_importance,
            "minConfidence": min_confidence,
        },
        "autoSave": {
            "summaries": save_summaries,
            "decisions": save_decisions,
            "preferences": save_preferences,
            "actionItems": save_action_items,
        },
        "workExecutor": {
            "enabled": work_enabled,
            "pollIntervalMs": work_poll_interval_ms,
            "maxConcurrent": work_max_concurrent,
            "executionTimeoutMs": work_execution_timeout_ms,
        },
    }
    return parse_settings({"agent": {"parallelSessions": section}}).parallel_sessions
