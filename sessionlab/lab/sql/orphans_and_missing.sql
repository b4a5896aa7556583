-- question: Do sessions and transcripts match: what is orphaned, missing or damaged?
-- params: $agent VARCHAR optional - only this agent
-- columns: agent_id VARCHAR text - the agent
-- columns: sessions BIGINT sessions - entries in the store
-- columns: missing_transcripts BIGINT sessions - sessions whose transcript is gone
-- columns: sessions_without_id BIGINT sessions - entries without a session id, which cannot have a transcript
-- columns: transcripts BIGINT transcripts - transcripts in use or cold
-- columns: orphan_transcripts BIGINT transcripts - those that no session refers to
-- columns: orphan_bytes BIGINT bytes - their size
-- columns: damaged_transcripts BIGINT transcripts - transcripts with at least one bad line
-- columns: bad_lines BIGINT lines - lines that could not be read
-- order: agent_id
WITH per_session AS (
  SELECT
    agent_id,
    COUNT(*) AS sessions,
    SUM(CASE WHEN is_transcript_missing THEN 1 ELSE 0 END) AS missing_transcripts,
    SUM(CASE WHEN session_id IS NULL THEN 1 ELSE 0 END) AS sessions_without_id
  FROM sessions
  WHERE ($agent IS NULL OR agent_id = $agent)
  GROUP BY agent_id
),
per_transcript AS (
  SELECT
    agent_id,
    SUM(CASE WHEN source IN ('live', 'cold') THEN 1 ELSE 0 END) AS transcripts,
    SUM(CASE WHEN is_orphan THEN 1 ELSE 0 END) AS orphan_transcripts,
    SUM(CASE WHEN is_orphan THEN bytes ELSE 0 END) AS orphan_bytes,
    SUM(CASE WHEN bad_lines > 0 THEN 1 ELSE 0 END) AS damaged_transcripts,
    SUM(bad_lines) AS bad_lines
  FROM transcripts
  WHERE ($agent IS NULL OR agent_id = $agent)
  GROUP BY agent_id
),
everyone AS (
  SELECT agent_id FROM agents WHERE ($agent IS NULL OR agent_id = $agent)
  UNION
  SELECT agent_id FROM per_session
  UNION
  SELECT agent_id FROM per_transcript
)
SELECT
  everyone.agent_id,
  CAST(COALESCE(s.sessions, 0) AS BIGINT) AS sessions,
  CAST(COALESCE(s.missing_transcripts, 0) AS BIGINT) AS missing_transcripts,
  CAST(COALESCE(s.sessions_without_id, 0) AS BIGINT) AS sessions_without_id,
  CAST(COALESCE(t.transcripts, 0) AS BIGINT) AS transcripts,
  CAST(COALESCE(t.orphan_transcripts, 0) AS BIGINT) AS orphan_transcripts,
  CAST(COALESCE(t.orphan_bytes, 0) AS BIGINT) AS orphan_bytes,
  CAST(COALESCE(t.damaged_transcripts, 0) AS BIGINT) AS damaged_transcripts,
  CAST(COALESCE(t.bad_lines, 0) AS BIGINT) AS bad_lines
FROM everyone
LEFT JOIN per_session AS s ON s.agent_id = everyone.agent_id
LEFT JOIN per_transcript AS t ON t.agent_id = everyone.agent_id
ORDER BY agent_id
