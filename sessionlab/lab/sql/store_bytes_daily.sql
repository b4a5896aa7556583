-- question: How did the bytes that the live store holds today come in, day by day (the forecast's input)?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- params: $now_ms BIGINT optional - the clock: the days run up to it, and what is dated later counts on its day
-- columns: day DATE day - UTC day, without gaps
-- columns: added_sessions BIGINT sessions - sessions created on the day (else updated on it; undated ones on the first day)
-- columns: added_bytes BIGINT bytes - what the store holds since then: a JSON store the entries of those sessions, a SQLite store also the day's transcript events, scaled to the size of its files
-- columns: cumulative_bytes BIGINT bytes - all up to and including the day; the last value is the size of the store, but for rounding
-- order: day
WITH clock AS (
  SELECT CAST(DATE '1970-01-01' + CAST(FLOOR($now_ms / 86400000.0) AS INTEGER) * INTERVAL '1' DAY AS DATE) AS today
),
-- A SQLite store keeps the transcripts, too, and indexes over both: its files grow with entries and events alike. What came in
-- on a day is therefore both, scaled so that all days together make the size of the files.
stored_events AS (
  SELECT e.agent_id, e.session_key, e.event_day, SUM(e.bytes) AS bytes
  FROM events AS e
  JOIN transcripts AS t ON t.transcript_id = e.transcript_id
  WHERE t.is_in_store
  GROUP BY e.agent_id, e.session_key, e.event_day
),
content AS (
  SELECT agent_id, kind, COALESCE(created_day, updated_day) AS day, 1 AS sessions, entry_bytes AS bytes FROM sessions
  UNION ALL
  SELECT e.agent_id, s.kind, e.event_day AS day, 0 AS sessions, e.bytes
  FROM stored_events AS e
  LEFT JOIN sessions AS s ON s.agent_id = e.agent_id AND s.session_key = e.session_key
),
scales AS (
  SELECT
    c.agent_id,
    CASE WHEN MAX(a.store_kind) = 'openclaw' AND SUM(c.bytes) > 0
      THEN CAST(MAX(a.store_bytes) AS DOUBLE) / CAST(SUM(c.bytes) AS DOUBLE) ELSE 1.0 END AS scale
  FROM content AS c
  LEFT JOIN agents AS a ON a.agent_id = c.agent_id
  GROUP BY c.agent_id
),
dated AS (
  SELECT
    c.sessions,
    c.bytes * s.scale AS bytes,
    clock.today,
    CASE WHEN c.day > clock.today THEN clock.today ELSE c.day END AS day
  FROM content AS c
  JOIN scales AS s ON s.agent_id = c.agent_id
  CROSS JOIN clock
  WHERE ($agent IS NULL OR c.agent_id = $agent) AND ($kind IS NULL OR c.kind = $kind)
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
added_daily AS (
  SELECT
    CASE WHEN d.day IS NULL OR d.day < b.first_day THEN b.first_day ELSE d.day END AS day,
    SUM(d.sessions) AS added_sessions,
    CAST(ROUND(SUM(d.bytes)) AS BIGINT) AS added_bytes
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
