-- question: Which part of the store has not been touched for a long time?
-- params: $now_ms BIGINT required - the clock that ages are measured against, epoch milliseconds UTC
-- params: $stale_days BIGINT optional - a session is stale when its last update is more than this many days ago; 30 when not given
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- columns: agent_id VARCHAR text - the agent
-- columns: kind VARCHAR text - session kind
-- columns: sessions BIGINT sessions - all sessions
-- columns: stale_sessions BIGINT sessions - those that are stale; an unknown update time is not stale
-- columns: stale_share DOUBLE ratio - stale_sessions by sessions, 0 to 1
-- columns: unknown_sessions BIGINT sessions - sessions without an update time
-- columns: entry_bytes BIGINT bytes - size of all entries
-- columns: stale_bytes BIGINT bytes - size of the stale entries
-- columns: stale_transcript_bytes BIGINT bytes - size of the stale sessions' transcripts
-- order: agent_id, kind
WITH marked AS (
  SELECT
    agent_id, kind, entry_bytes, transcript_bytes,
    CASE WHEN updated_ms < $now_ms - COALESCE($stale_days, 30) * CAST(86400000 AS BIGINT) THEN 1 ELSE 0 END AS is_stale,
    CASE WHEN updated_ms IS NULL THEN 1 ELSE 0 END AS is_unknown
  FROM sessions
  WHERE ($agent IS NULL OR agent_id = $agent) AND ($kind IS NULL OR kind = $kind)
)
SELECT
  agent_id,
  kind,
  CAST(COUNT(*) AS BIGINT) AS sessions,
  CAST(SUM(is_stale) AS BIGINT) AS stale_sessions,
  CAST(SUM(is_stale) AS DOUBLE) / CAST(COUNT(*) AS DOUBLE) AS stale_share,
  CAST(SUM(is_unknown) AS BIGINT) AS unknown_sessions,
  CAST(SUM(entry_bytes) AS BIGINT) AS entry_bytes,
  CAST(SUM(is_stale * entry_bytes) AS BIGINT) AS stale_bytes,
  CAST(SUM(is_stale * transcript_bytes) AS BIGINT) AS stale_transcript_bytes
FROM marked
GROUP BY agent_id, kind
ORDER BY agent_id, kind
