-- question: How do the sessions that the store holds today, and their bytes, accumulate by the day they were created on?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- params: $since_day DATE optional - first UTC day shown, inclusive
-- params: $until_day DATE optional - last UTC day shown, inclusive
-- params: $now_ms BIGINT optional - the clock: the days run up to it, and what is dated later counts on its day
-- columns: day DATE day - UTC day; every day from the first to the last is there, for every agent and kind
-- columns: agent_id VARCHAR text - the agent
-- columns: kind VARCHAR text - session kind
-- columns: created BIGINT sessions - sessions created on the day (updated, where the creation time is unknown)
-- columns: created_bytes BIGINT bytes - today's entry size of those sessions
-- columns: cumulative_sessions BIGINT sessions - all up to and including the day, those before $since_day too
-- columns: cumulative_bytes BIGINT bytes - their entries' size
-- order: day, agent_id, kind
WITH clock AS (
  SELECT CAST(DATE '1970-01-01' + CAST(FLOOR($now_ms / 86400000.0) AS INTEGER) * INTERVAL '1' DAY AS DATE) AS today
),
dated AS (
  SELECT
    sessions.agent_id,
    sessions.kind,
    sessions.entry_bytes,
    clock.today,
    CASE WHEN COALESCE(created_day, updated_day) > clock.today THEN clock.today ELSE COALESCE(created_day, updated_day) END AS day
  FROM sessions
  CROSS JOIN clock
  WHERE ($agent IS NULL OR agent_id = $agent) AND ($kind IS NULL OR kind = $kind)
),
-- The days shown run over ten years at most: a hostile date must not make a million rows. What is older, or has no date
-- at all, counts on the first day shown, so that the last cumulative value is always the true total.
span AS (
  SELECT COALESCE(MAX(today), MAX(day), DATE '1970-01-01') AS last_day, COALESCE(MIN(day), MAX(today), DATE '1970-01-01') AS oldest_day
  FROM dated
  HAVING COUNT(*) > 0
),
bounds AS (
  SELECT last_day, GREATEST(oldest_day, CAST(last_day - 3652 * INTERVAL '1' DAY AS DATE)) AS first_day FROM span
),
spine AS (
  SELECT CAST(bounds.first_day + numbers.n * INTERVAL '1' DAY AS DATE) AS day
  FROM bounds
  CROSS JOIN numbers
  WHERE CAST(bounds.first_day + numbers.n * INTERVAL '1' DAY AS DATE) <= bounds.last_day
),
created_daily AS (
  SELECT
    CASE WHEN d.day IS NULL OR d.day < b.first_day THEN b.first_day ELSE d.day END AS day,
    d.agent_id,
    d.kind,
    COUNT(*) AS created,
    SUM(d.entry_bytes) AS created_bytes
  FROM dated AS d
  CROSS JOIN bounds AS b
  GROUP BY CASE WHEN d.day IS NULL OR d.day < b.first_day THEN b.first_day ELSE d.day END, d.agent_id, d.kind
),
pairs AS (
  SELECT DISTINCT agent_id, kind FROM dated
),
dense AS (
  SELECT
    spine.day, pairs.agent_id, pairs.kind,
    COALESCE(c.created, 0) AS created,
    COALESCE(c.created_bytes, 0) AS created_bytes
  FROM spine
  CROSS JOIN pairs
  LEFT JOIN created_daily AS c ON c.day = spine.day AND c.agent_id = pairs.agent_id AND c.kind = pairs.kind
),
running AS (
  SELECT
    day, agent_id, kind, created, created_bytes,
    SUM(created) OVER (PARTITION BY agent_id, kind ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS cumulative_sessions,
    SUM(created_bytes) OVER (PARTITION BY agent_id, kind ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS cumulative_bytes
  FROM dense
)
SELECT
  day, agent_id, kind,
  CAST(created AS BIGINT) AS created,
  CAST(created_bytes AS BIGINT) AS created_bytes,
  CAST(cumulative_sessions AS BIGINT) AS cumulative_sessions,
  CAST(cumulative_bytes AS BIGINT) AS cumulative_bytes
FROM running
WHERE ($since_day IS NULL OR day >= $since_day) AND ($until_day IS NULL OR day <= $until_day)
ORDER BY day, agent_id, kind
