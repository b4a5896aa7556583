-- question: How big is the store, what lies around it, and what did it cost?
-- params: $agent VARCHAR optional - only this agent
-- columns: agents BIGINT agents - agents whose store was loaded
-- columns: sessions BIGINT sessions - entries in the stores
-- columns: entry_bytes BIGINT bytes - sum of all entries
-- columns: skills_snapshot_bytes BIGINT bytes - part of entry_bytes in the field skillsSnapshot
-- columns: system_prompt_report_bytes BIGINT bytes - part of entry_bytes in the field systemPromptReport
-- columns: acp_bytes BIGINT bytes - part of entry_bytes in the field acp
-- columns: other_bytes BIGINT bytes - part of entry_bytes in all other fields
-- columns: store_bytes BIGINT bytes - the stores' own files on disk
-- columns: transcripts BIGINT transcripts - transcripts in use, orphans included
-- columns: transcript_bytes BIGINT bytes - size of those transcripts
-- columns: archives BIGINT transcripts - archived transcripts (deleted or reset)
-- columns: archive_bytes BIGINT bytes - size of the archives
-- columns: events BIGINT events - transcript events read, archives included, copies in forked sessions excluded
-- columns: copied_events BIGINT events - those copies, which are in no other number
-- columns: first_created_day DATE day - creation day of the oldest session that has one
-- columns: last_updated_day DATE day - day of the newest update
-- columns: undated_sessions BIGINT sessions - sessions that have neither a creation nor an update time
-- columns: cron_run_sessions BIGINT sessions - sessions of single cron runs
-- columns: archived_sessions BIGINT sessions - sessions marked as archived
-- columns: missing_transcripts BIGINT sessions - sessions whose transcript is gone
-- columns: orphan_transcripts BIGINT transcripts - transcripts that no session refers to
-- columns: calls BIGINT calls - model calls with usage, archives included
-- columns: total_tokens BIGINT tokens - tokens of those calls, cache reads and writes included
-- columns: cost_microusd BIGINT micro-dollars - cost of those calls, as recorded
-- columns: problem_errors BIGINT findings - problems of severity error
-- columns: problem_warnings BIGINT findings - problems of severity warning
-- order: sessions
WITH agents_total AS (
  SELECT CAST(COUNT(DISTINCT agent_id) AS BIGINT) AS agents, CAST(COALESCE(SUM(store_bytes), 0) AS BIGINT) AS store_bytes
  FROM agents
  WHERE ($agent IS NULL OR agent_id = $agent)
),
sessions_total AS (
  SELECT
    CAST(COUNT(*) AS BIGINT) AS sessions,
    CAST(COALESCE(SUM(entry_bytes), 0) AS BIGINT) AS entry_bytes,
    CAST(COALESCE(SUM(skills_snapshot_bytes), 0) AS BIGINT) AS skills_snapshot_bytes,
    CAST(COALESCE(SUM(system_prompt_report_bytes), 0) AS BIGINT) AS system_prompt_report_bytes,
    CAST(COALESCE(SUM(acp_bytes), 0) AS BIGINT) AS acp_bytes,
    CAST(COALESCE(SUM(other_bytes), 0) AS BIGINT) AS other_bytes,
    MIN(created_day) AS first_created_day,
    MAX(updated_day) AS last_updated_day,
    CAST(COALESCE(SUM(CASE WHEN created_day IS NULL AND updated_day IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS undated_sessions,
    CAST(COALESCE(SUM(CASE WHEN kind = 'cron-run' THEN 1 ELSE 0 END), 0) AS BIGINT) AS cron_run_sessions,
    CAST(COALESCE(SUM(CASE WHEN is_archived THEN 1 ELSE 0 END), 0) AS BIGINT) AS archived_sessions,
    CAST(COALESCE(SUM(CASE WHEN is_transcript_missing THEN 1 ELSE 0 END), 0) AS BIGINT) AS missing_transcripts
  FROM sessions
  WHERE ($agent IS NULL OR agent_id = $agent)
),
transcripts_total AS (
  SELECT
    CAST(COALESCE(SUM(CASE WHEN source IN ('live', 'cold') THEN 1 ELSE 0 END), 0) AS BIGINT) AS transcripts,
    CAST(COALESCE(SUM(CASE WHEN source IN ('live', 'cold') THEN bytes ELSE 0 END), 0) AS BIGINT) AS transcript_bytes,
    CAST(COALESCE(SUM(CASE WHEN source IN ('live', 'cold') THEN 0 ELSE 1 END), 0) AS BIGINT) AS archives,
    CAST(COALESCE(SUM(CASE WHEN source IN ('live', 'cold') THEN 0 ELSE bytes END), 0) AS BIGINT) AS archive_bytes,
    CAST(COALESCE(SUM(CASE WHEN is_orphan THEN 1 ELSE 0 END), 0) AS BIGINT) AS orphan_transcripts
  FROM transcripts
  WHERE ($agent IS NULL OR agent_id = $agent)
),
events_total AS (
  SELECT
    CAST(COALESCE(SUM(CASE WHEN is_copy THEN 0 ELSE 1 END), 0) AS BIGINT) AS events,
    CAST(COALESCE(SUM(CASE WHEN is_copy THEN 1 ELSE 0 END), 0) AS BIGINT) AS copied_events
  FROM events
  WHERE ($agent IS NULL OR agent_id = $agent)
),
usage_total AS (
  SELECT
    CAST(COUNT(*) AS BIGINT) AS calls,
    CAST(COALESCE(SUM(total_tokens), 0) AS BIGINT) AS total_tokens,
    CAST(COALESCE(SUM(cost_microusd), 0) AS BIGINT) AS cost_microusd
  FROM calls
  WHERE ($agent IS NULL OR agent_id = $agent)
),
problems_total AS (
  SELECT
    CAST(COALESCE(SUM(CASE WHEN severity = 'error' THEN count ELSE 0 END), 0) AS BIGINT) AS problem_errors,
    CAST(COALESCE(SUM(CASE WHEN severity = 'warning' THEN count ELSE 0 END), 0) AS BIGINT) AS problem_warnings
  FROM problems
  WHERE ($agent IS NULL OR agent_id = $agent)
)
SELECT
  a.agents, s.sessions, s.entry_bytes, s.skills_snapshot_bytes, s.system_prompt_report_bytes, s.acp_bytes, s.other_bytes,
  a.store_bytes, t.transcripts, t.transcript_bytes, t.archives, t.archive_bytes, e.events, e.copied_events, s.first_created_day, s.last_updated_day,
  s.undated_sessions, s.cron_run_sessions, s.archived_sessions, s.missing_transcripts, t.orphan_transcripts,
  u.calls, u.total_tokens, u.cost_microusd, p.problem_errors, p.problem_warnings
FROM agents_total AS a
CROSS JOIN sessions_total AS s
CROSS JOIN transcripts_total AS t
CROSS JOIN events_total AS e
CROSS JOIN usage_total AS u
CROSS JOIN problems_total AS p
ORDER BY sessions
