-- question: Which transcripts are there: in use, archived, in cold storage?
-- params: $agent VARCHAR optional - only this agent
-- columns: agent_id VARCHAR text - the agent
-- columns: source VARCHAR text - 'live', 'cold', 'archive-deleted' or 'archive-reset'
-- columns: transcripts BIGINT transcripts - how many
-- columns: orphans BIGINT transcripts - those that no session refers to
-- columns: bytes BIGINT bytes - their size
-- columns: events BIGINT events - events in them, copies in forked sessions included
-- columns: bad_lines BIGINT lines - lines that could not be read
-- columns: first_ms BIGINT ms - time of the first event, NULL when there is none
-- columns: last_ms BIGINT ms - time of the last event
-- order: agent_id, source
SELECT
  agent_id,
  source,
  CAST(COUNT(*) AS BIGINT) AS transcripts,
  CAST(SUM(CASE WHEN is_orphan THEN 1 ELSE 0 END) AS BIGINT) AS orphans,
  CAST(SUM(bytes) AS BIGINT) AS bytes,
  CAST(SUM(events) AS BIGINT) AS events,
  CAST(SUM(bad_lines) AS BIGINT) AS bad_lines,
  MIN(first_ms) AS first_ms,
  MAX(last_ms) AS last_ms
FROM transcripts
WHERE ($agent IS NULL OR agent_id = $agent)
GROUP BY agent_id, source
ORDER BY agent_id, source
