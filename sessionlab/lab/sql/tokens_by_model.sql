-- question: Which models used the tokens and the money?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- params: $since_day DATE optional - first UTC day shown, inclusive
-- params: $until_day DATE optional - last UTC day shown, inclusive
-- columns: provider VARCHAR text - model provider; '(unknown)' where the event does not say
-- columns: model VARCHAR text - model; '(unknown)' where the event does not say
-- columns: calls BIGINT calls - assistant messages with usage; OpenClaw's own delivery mirrors are not calls
-- columns: input_tokens BIGINT tokens - uncached input
-- columns: output_tokens BIGINT tokens - output
-- columns: cache_read_tokens BIGINT tokens - input read from the cache
-- columns: cache_write_tokens BIGINT tokens - input written to the cache
-- columns: total_tokens BIGINT tokens - as recorded; where it is not, the sum of the four
-- columns: cost_microusd BIGINT micro-dollars - cost as recorded
-- columns: missing_cost_entries BIGINT calls - calls with usage but without a recorded cost
-- order: total_tokens DESC, provider, model
WITH chosen AS (
  SELECT t.transcript_id
  FROM transcripts AS t
  LEFT JOIN sessions AS s ON s.agent_id = t.agent_id AND s.session_key = t.session_key
  WHERE COALESCE(s.kind, '(no session)') = $kind
)
SELECT
  COALESCE(calls.provider, '(unknown)') AS provider,
  COALESCE(calls.model, '(unknown)') AS model,
  CAST(COUNT(*) AS BIGINT) AS calls,
  CAST(COALESCE(SUM(calls.input_tokens), 0) AS BIGINT) AS input_tokens,
  CAST(COALESCE(SUM(calls.output_tokens), 0) AS BIGINT) AS output_tokens,
  CAST(COALESCE(SUM(calls.cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
  CAST(COALESCE(SUM(calls.cache_write_tokens), 0) AS BIGINT) AS cache_write_tokens,
  CAST(SUM(calls.total_tokens) AS BIGINT) AS total_tokens,
  CAST(COALESCE(SUM(calls.cost_microusd), 0) AS BIGINT) AS cost_microusd,
  CAST(SUM(CASE WHEN calls.cost_microusd IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS missing_cost_entries
FROM calls
WHERE ($agent IS NULL OR agent_id = $agent)
  AND ($kind IS NULL OR transcript_id IN (SELECT transcript_id FROM chosen))
  AND ($since_day IS NULL OR event_day >= $since_day) AND ($until_day IS NULL OR event_day <= $until_day)
GROUP BY COALESCE(calls.provider, '(unknown)'), COALESCE(calls.model, '(unknown)')
ORDER BY total_tokens DESC, provider, model
