-- question: How long ago were the sessions last updated?
-- params: $now_ms BIGINT required - the clock that ages are measured against, epoch milliseconds UTC
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- columns: bucket_order BIGINT rank - position of the bucket, youngest first
-- columns: bucket VARCHAR text - days since the last update; '1-7 days' is 1 to below 7
-- columns: from_days BIGINT days - lower bound, inclusive; NULL for 'unknown' and 'in the future'
-- columns: sessions BIGINT sessions - sessions in the bucket; every bucket is listed
-- columns: entry_bytes BIGINT bytes - size of their entries
-- order: bucket_order
WITH buckets AS (
  SELECT bucket_order, bucket, from_days FROM (VALUES
    (1, '< 1 day', 0), (2, '1-7 days', 1), (3, '7-30 days', 7), (4, '30-60 days', 30), (5, '60-90 days', 60), (6, '> 90 days', 90),
    (7, 'unknown', NULL), (8, 'in the future', NULL)
  ) AS listed(bucket_order, bucket, from_days)
),
aged AS (
  SELECT
    entry_bytes,
    CASE
      WHEN updated_ms IS NULL THEN 7
      WHEN updated_ms > $now_ms THEN 8
      WHEN $now_ms - updated_ms < 86400000 THEN 1
      WHEN $now_ms - updated_ms < 604800000 THEN 2
      WHEN $now_ms - updated_ms < 2592000000 THEN 3
      WHEN $now_ms - updated_ms < 5184000000 THEN 4
      WHEN $now_ms - updated_ms < 7776000000 THEN 5
      ELSE 6
    END AS bucket_order
  FROM sessions
  WHERE ($agent IS NULL OR agent_id = $agent) AND ($kind IS NULL OR kind = $kind)
),
counted AS (
  SELECT bucket_order, COUNT(*) AS sessions, SUM(entry_bytes) AS entry_bytes FROM aged GROUP BY bucket_order
)
SELECT
  CAST(b.bucket_order AS BIGINT) AS bucket_order,
  b.bucket,
  CAST(b.from_days AS BIGINT) AS from_days,
  CAST(COALESCE(c.sessions, 0) AS BIGINT) AS sessions,
  CAST(COALESCE(c.entry_bytes, 0) AS BIGINT) AS entry_bytes
FROM buckets AS b
LEFT JOIN counted AS c ON c.bucket_order = b.bucket_order
ORDER BY bucket_order
