-- question: How are the entries' sizes distributed?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- columns: low_bytes BIGINT bytes - lower bound of the bucket, a power of two, inclusive (the first bucket starts at 0)
-- columns: high_bytes BIGINT bytes - upper bound of the bucket, exclusive
-- columns: sessions BIGINT sessions - entries in the bucket; empty buckets between filled ones are there
-- columns: entry_bytes BIGINT bytes - their size
-- order: low_bytes
WITH powers AS (
  SELECT exponent, CAST(size AS BIGINT) AS size FROM (VALUES
    (0, 1), (1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 64), (7, 128), (8, 256), (9, 512), (10, 1024), (11, 2048), (12, 4096), (13,
    8192), (14, 16384), (15, 32768), (16, 65536), (17, 131072), (18, 262144), (19, 524288), (20, 1048576), (21, 2097152), (22,
    4194304), (23, 8388608), (24, 16777216), (25, 33554432), (26, 67108864), (27, 134217728), (28, 268435456), (29, 536870912), (30,
    1073741824), (31, 2147483648), (32, 4294967296), (33, 8589934592), (34, 17179869184), (35, 34359738368), (36, 68719476736), (37,
    137438953472), (38, 274877906944), (39, 549755813888), (40, 1099511627776)
  ) AS listed(exponent, size)
),
buckets AS (
  SELECT exponent, CASE WHEN exponent = 0 THEN CAST(0 AS BIGINT) ELSE size END AS low_bytes, 2 * size AS high_bytes FROM powers
),
filled AS (
  SELECT b.exponent, COUNT(*) AS sessions, SUM(s.entry_bytes) AS entry_bytes
  FROM sessions AS s
  JOIN buckets AS b ON s.entry_bytes >= b.low_bytes AND s.entry_bytes < b.high_bytes
  WHERE ($agent IS NULL OR s.agent_id = $agent) AND ($kind IS NULL OR s.kind = $kind)
  GROUP BY b.exponent
),
ends AS (
  SELECT MIN(exponent) AS first_exponent, MAX(exponent) AS last_exponent FROM filled
)
SELECT
  b.low_bytes,
  b.high_bytes,
  CAST(COALESCE(f.sessions, 0) AS BIGINT) AS sessions,
  CAST(COALESCE(f.entry_bytes, 0) AS BIGINT) AS entry_bytes
FROM buckets AS b
CROSS JOIN ends
LEFT JOIN filled AS f ON f.exponent = b.exponent
WHERE b.exponent >= ends.first_exponent AND b.exponent <= ends.last_exponent
ORDER BY low_bytes
