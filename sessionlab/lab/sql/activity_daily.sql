-- question: How many sessions were active on each day, and how much did they write?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- params: $since_day DATE optional - first UTC day shown, inclusive
-- params: $until_day DATE optional - last UTC day shown, inclusive
-- columns: day DATE day - UTC day with at least one event (undated events are left out)
-- columns: agent_id VARCHAR text - the agent
-- columns: kind VARCHAR text - session kind; '(no session)' for orphans and archives whose session is gone
-- columns: active_sessions BIGINT sessions - distinct sessions with an event on the day
-- columns: events BIGINT events - transcript events, copies in forked sessions excluded
-- columns: event_bytes BIGINT bytes - size of those events
-- order: day, agent_id, kind
WITH per_transcript AS (
  SELECT transcript_id, event_day, COUNT(*) AS events, SUM(bytes) AS event_bytes
  FROM events
  WHERE event_day IS NOT NULL AND NOT is_copy AND ($agent IS NULL OR agent_id = $agent)
    AND ($since_day IS NULL OR event_day >= $since_day) AND ($until_day IS NULL OR event_day <= $until_day)
  GROUP BY transcript_id, event_day
),
numbered AS (
  -- Numbers in place of texts: counting distinct session keys directly is three times as slow at a million events.
  SELECT
    t.transcript_id,
    t.agent_id,
    COALESCE(s.kind, '(no session)') AS kind,
    DENSE_RANK() OVER (ORDER BY t.agent_id, COALESCE(t.session_key, t.session_id, t.path)) AS session_number
  FROM transcripts AS t
  LEFT JOIN sessions AS s ON s.agent_id = t.agent_id AND s.session_key = t.session_key
  WHERE ($agent IS NULL OR t.agent_id = $agent)
)
SELECT
  p.event_day AS day,
  n.agent_id,
  n.kind,
  CAST(COUNT(DISTINCT n.session_number) AS BIGINT) AS active_sessions,
  CAST(SUM(p.events) AS BIGINT) AS events,
  CAST(SUM(p.event_bytes) AS BIGINT) AS event_bytes
FROM per_transcript AS p
JOIN numbered AS n ON n.transcript_id = p.transcript_id
WHERE ($kind IS NULL OR n.kind = $kind)
GROUP BY p.event_day, n.agent_id, n.kind
ORDER BY day, agent_id, kind
