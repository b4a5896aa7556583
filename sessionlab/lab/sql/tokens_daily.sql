-- question: How many tokens and how much money went to which model, day by day?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- params: $since_day DATE optional - first UTC day shown, inclusive
-- params: $until_day DATE optional - last UTC day shown, inclusive
-- columns: day DATE day - UTC day with at least one call (undated calls are left out here; usage_totals counts them)
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
-- order: day, provider, model
WITH per_transcript AS (
  SELECT
    transcript_id, event_day, provider, model,
    COUNT(*) AS calls,
    SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens,
    SUM(cache_read_tokens) AS cache_read_tokens,
    SUM(cache_write_tokens) AS cache_write_tokens,
    SUM(COALESCE(total_tokens, COALESCE(input_tokens, 0) + COALESCE(output_tokens, 0)
      + COALESCE(cache_read_tokens, 0) + COALESCE(cache_write_tokens, 0))) AS total_tokens,
    SUM(cost_microusd) AS cost_microusd,
    SUM(CASE WHEN cost_microusd IS NULL THEN 1 ELSE 0 END) AS missing_cost_entries
  FROM events
  WHERE role = 'assistant' AND NOT is_copy
    AND COALESCE(total_tokens, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_microusd) IS NOT NULL
    AND NOT (COALESCE(provider, '') = 'openclaw' AND COALESCE(model, '') IN ('delivery-mirror', 'gateway-injected'))
    AND ($agent IS NULL OR agent_id = $agent)
    AND event_day IS NOT NULL
    AND ($since_day IS NULL OR event_day >= $since_day) AND ($until_day IS NULL OR event_day <= $until_day)
  GROUP BY transcript_id, event_day, provider, model
)
SELECT
  u.event_day AS day,
  COALESCE(u.provider, '(unknown)') AS provider,
  COALESCE(u.model, '(unknown)') AS model,
  CAST(SUM(u.calls) AS BIGINT) AS calls,
  CAST(COALESCE(SUM(u.input_tokens), 0) AS BIGINT) AS input_tokens,
  CAST(COALESCE(SUM(u.output_tokens), 0) AS BIGINT) AS output_tokens,
  CAST(COALESCE(SUM(u.cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
  CAST(COALESCE(SUM(u.cache_write_tokens), 0) AS BIGINT) AS cache_write_tokens,
  CAST(COALESCE(SUM(u.total_tokens), 0) AS BIGINT) AS total_tokens,
  CAST(COALESCE(SUM(u.cost_microusd), 0) AS BIGINT) AS cost_microusd,
  CAST(SUM(u.missing_cost_entries) AS BIGINT) AS missing_cost_entries
FROM per_transcript AS u
JOIN transcripts AS t ON t.transcript_id = u.transcript_id
LEFT JOIN sessions AS s ON s.agent_id = t.agent_id AND s.session_key = t.session_key
WHERE ($kind IS NULL OR COALESCE(s.kind, '(no session)') = $kind)
GROUP BY u.event_day, COALESCE(u.provider, '(unknown)'), COALESCE(u.model, '(unknown)')
ORDER BY day, provider, model
