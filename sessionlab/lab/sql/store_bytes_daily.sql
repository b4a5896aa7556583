-- question: How did the bytes that the live store holds today come in, day by day (the forecast's input)?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- params: $now_ms BIGINT optional - the clock: the days run up to it, and what is dated later counts on its day
-- columns: day DATE day - UTC day, without gaps
-- columns: added_sessions BIGINT sessions - sessions created on the day (else updated on it; undated ones on the first day)
-- columns: added_bytes BIGINT bytes - today's entry size of those sessions
-- columns: cumulative_bytes BIGINT bytes - all up to and including the day; the last value is the sum of all entries
-- order: day
WITH clock AS (
  SELECT CAST(DATE '1970-01-01' + CAST(FLOOR($now_ms / 86400000.0) AS INTEGER) * INTERVAL '1' DAY AS DATE) AS today
),
digits AS (
  SELECT n FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS listed(n)
),
dated AS (
  SELECT
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
  SELECT CAST(first_day + (ones.n + 10 * tens.n + 100 * hundreds.n + 1000 * thousands.n) * INTERVAL '1' DAY AS DATE) AS day
  FROM bounds
  CROSS JOIN digits AS ones
  CROSS JOIN digits AS tens
  CROSS JOIN digits AS hundreds
  CROSS JOIN digits AS thousands
  WHERE CAST(first_day + (ones.n + 10 * tens.n + 100 * hundreds.n + 1000 * thousands.n) * INTERVAL '1' DAY AS DATE) <= last_day
),
added_daily AS (
  SELECT
    CASE WHEN d.day IS NULL OR d.day < b.first_day THEN b.first_day ELSE d.day END AS day,
    COUNT(*) AS added_sessions,
    SUM(d.entry_bytes) AS added_bytes
  FROM dated AS d
  CROSS JOIN bounds AS b
  GROUP BY CASE WHEN d.day IS NULL OR d.day < b.first_day THEN b.first_day ELSE d.day END
)
SELECT
  spine.day,
  CAST(COALESCE(a.added_sessions, 0) AS BIGINT) AS added_sessions,
  CAST(COALESCE(a.added_bytes, 0) AS BIGINT) AS added_bytes,
  CAST(SUM(COALESCE(a.added_bytes, 0))
    OVER (ORDER BY spine.day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS BIGINT) AS cumulative_bytes
FROM spine
LEFT JOIN added_daily AS a ON a.day = spine.day
ORDER BY day
