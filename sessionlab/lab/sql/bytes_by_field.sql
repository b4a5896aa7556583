-- question: Which entry fields make the store big?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- columns: field VARCHAR text - top-level field of the entry; '(key and punctuation)' is the rest
-- columns: sessions BIGINT sessions - sessions that have the field
-- columns: bytes BIGINT bytes - size of the field over all sessions
-- columns: share DOUBLE ratio - part of all bytes listed here, 0 to 1
-- order: bytes DESC, field
WITH per_field AS (
  SELECT f.field, COUNT(*) AS sessions, SUM(f.bytes) AS bytes
  FROM fields AS f
  JOIN sessions AS s ON s.agent_id = f.agent_id AND s.session_key = f.session_key
  WHERE ($agent IS NULL OR f.agent_id = $agent) AND ($kind IS NULL OR s.kind = $kind)
  GROUP BY f.field
)
SELECT
  field,
  CAST(sessions AS BIGINT) AS sessions,
  CAST(bytes AS BIGINT) AS bytes,
  CAST(COALESCE(CAST(bytes AS DOUBLE) / NULLIF(CAST(SUM(bytes) OVER () AS DOUBLE), 0), 0) AS DOUBLE) AS share
FROM per_field
ORDER BY bytes DESC, field
