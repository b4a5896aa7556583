-- question: How do the bytes split over agents, kinds and fields (the treemap's input)?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- columns: agent_id VARCHAR text - the agent
-- columns: kind VARCHAR text - session kind
-- columns: field VARCHAR text - top-level field of the entry
-- columns: sessions BIGINT sessions - sessions that have the field
-- columns: bytes BIGINT bytes - size of the field in these sessions
-- order: agent_id, kind, bytes DESC, field
WITH per_leaf AS (
  SELECT f.agent_id, s.kind, f.field, COUNT(*) AS sessions, SUM(f.bytes) AS bytes
  FROM fields AS f
  JOIN sessions AS s ON s.agent_id = f.agent_id AND s.session_key = f.session_key
  WHERE ($agent IS NULL OR f.agent_id = $agent) AND ($kind IS NULL OR s.kind = $kind)
  GROUP BY f.agent_id, s.kind, f.field
)
SELECT agent_id, kind, field, CAST(sessions AS BIGINT) AS sessions, CAST(bytes AS BIGINT) AS bytes
FROM per_leaf
ORDER BY agent_id, kind, bytes DESC, field
