-- question: What are the usage totals, as OpenClaw's own cost summary counts them?
-- params: $agent VARCHAR optional - only this agent
-- columns: scope VARCHAR text - 'transcripts' (in use, cold, orphans), 'archives' (deleted, reset), 'all' (OpenClaw's own total)
-- columns: calls BIGINT calls - assistant messages with usage; OpenClaw's own delivery mirrors are not calls
-- columns: input_tokens BIGINT tokens - uncached input
-- columns: output_tokens BIGINT tokens - output
-- columns: cache_read_tokens BIGINT tokens - input read from the cache
-- columns: cache_write_tokens BIGINT tokens - input written to the cache
-- columns: total_tokens BIGINT tokens - as recorded; where it is not, the sum of the four
-- columns: cost_microusd BIGINT micro-dollars - cost as recorded
-- columns: missing_cost_entries BIGINT calls - calls with usage but without a recorded cost
-- columns: undated_calls BIGINT calls - calls without a time: in this table, not in the daily ones
-- order: scope
WITH per_transcript AS (
  SELECT
    transcript_id,
    COUNT(*) AS calls,
    SUM(input_tokens) AS input_tokens,
    SUM(output_tokens) AS output_tokens,
    SUM(cache_read_tokens) AS cache_read_tokens,
    SUM(cache_write_tokens) AS cache_write_tokens,
    SUM(total_tokens) AS total_tokens,
    SUM(cost_microusd) AS cost_microusd,
    SUM(CASE WHEN cost_microusd IS NULL THEN 1 ELSE 0 END) AS missing_cost_entries,
    SUM(CASE WHEN event_day IS NULL THEN 1 ELSE 0 END) AS undated_calls
  FROM calls
  WHERE ($agent IS NULL OR agent_id = $agent)
  GROUP BY transcript_id
),
scopes AS (
  SELECT scope, source FROM (VALUES
    ('transcripts', 'live'), ('transcripts', 'cold'), ('archives', 'archive-deleted'), ('archives', 'archive-reset'),
    ('all', 'live'), ('all', 'cold'), ('all', 'archive-deleted'), ('all', 'archive-reset')
  ) AS listed(scope, source)
),
named AS (
  SELECT
    t.source, u.calls, u.input_tokens, u.output_tokens, u.cache_read_tokens, u.cache_write_tokens, u.total_tokens, u.cost_microusd,
    u.missing_cost_entries, u.undated_calls
  FROM per_transcript AS u
  JOIN transcripts AS t ON t.transcript_id = u.transcript_id
)
SELECT
  scopes.scope,
  CAST(COALESCE(SUM(u.calls), 0) AS BIGINT) AS calls,
  CAST(COALESCE(SUM(u.input_tokens), 0) AS BIGINT) AS input_tokens,
  CAST(COALESCE(SUM(u.output_tokens), 0) AS BIGINT) AS output_tokens,
  CAST(COALESCE(SUM(u.cache_read_tokens), 0) AS BIGINT) AS cache_read_tokens,
  CAST(COALESCE(SUM(u.cache_write_tokens), 0) AS BIGINT) AS cache_write_tokens,
  CAST(COALESCE(SUM(u.total_tokens), 0) AS BIGINT) AS total_tokens,
  CAST(COALESCE(SUM(u.cost_microusd), 0) AS BIGINT) AS cost_microusd,
  CAST(COALESCE(SUM(u.missing_cost_entries), 0) AS BIGINT) AS missing_cost_entries,
  CAST(COALESCE(SUM(u.undated_calls), 0) AS BIGINT) AS undated_calls
FROM scopes
LEFT JOIN named AS u ON u.source = scopes.source
GROUP BY scopes.scope
ORDER BY scope
