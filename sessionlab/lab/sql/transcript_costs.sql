-- question: What did the model calls recorded in each transcript cost?
-- params: $agent VARCHAR optional - only this agent
-- columns: agent_id VARCHAR text - the agent
-- columns: path VARCHAR text - where the transcript lies
-- columns: session_key VARCHAR text - the session that refers to it, NULL for none
-- columns: source VARCHAR text - 'live', 'cold', 'archive-deleted' or 'archive-reset'
-- columns: bytes BIGINT bytes - its size
-- columns: calls BIGINT calls - model calls in it; what a fork repeats of its parent counts in the parent only
-- columns: cost_microusd BIGINT micro-dollars - cost of these calls
-- order: agent_id, path
WITH spent AS (
  SELECT transcript_id, COUNT(*) AS calls, SUM(cost_microusd) AS cost_microusd
  FROM calls
  GROUP BY transcript_id
)
SELECT
  agent_id,
  path,
  session_key,
  source,
  bytes,
  CAST(COALESCE(calls, 0) AS BIGINT) AS calls,
  CAST(COALESCE(cost_microusd, 0) AS BIGINT) AS cost_microusd
FROM transcripts AS t
LEFT JOIN spent AS s ON s.transcript_id = t.transcript_id
WHERE ($agent IS NULL OR agent_id = $agent)
ORDER BY agent_id, path
