-- question: Which single sessions are the biggest, and what fills them?
-- params: $agent VARCHAR optional - only this agent
-- params: $kind VARCHAR optional - only sessions of this kind
-- params: $limit BIGINT optional - how many; 20 when not given
-- columns: rank BIGINT rank - 1 is the biggest entry
-- columns: agent_id VARCHAR text - the agent
-- columns: session_key VARCHAR text - the session
-- columns: kind VARCHAR text - session kind
-- columns: label VARCHAR text - the entry's label, where it has one
-- columns: model VARCHAR text - the entry's model, where it has one
-- columns: created_day DATE day - creation day, NULL when unknown
-- columns: updated_day DATE day - day of the last update, NULL when unknown
-- columns: entry_bytes BIGINT bytes - size of the entry
-- columns: share DOUBLE ratio - part of all entry bytes chosen by $agent and $kind, 0 to 1
-- columns: skills_snapshot_bytes BIGINT bytes - its field skillsSnapshot
-- columns: system_prompt_report_bytes BIGINT bytes - its field systemPromptReport
-- columns: acp_bytes BIGINT bytes - its field acp
-- columns: other_bytes BIGINT bytes - all its other fields
-- columns: transcript_bytes BIGINT bytes - size of its transcripts
-- columns: transcript_events BIGINT events - events in its transcripts
-- columns: cost_microusd BIGINT micro-dollars - cost of its calls
-- order: rank
WITH ranked AS (
  SELECT
    ROW_NUMBER() OVER (ORDER BY entry_bytes DESC, agent_id, session_key) AS rank,
    SUM(entry_bytes) OVER () AS all_bytes,
    agent_id, session_key, kind, label, model, created_day, updated_day, entry_bytes, skills_snapshot_bytes, system_prompt_report_bytes,
    acp_bytes, other_bytes, transcript_bytes, transcript_events, cost_microusd
  FROM sessions
  WHERE ($agent IS NULL OR agent_id = $agent) AND ($kind IS NULL OR kind = $kind)
)
SELECT
  CAST(rank AS BIGINT) AS rank,
  agent_id, session_key, kind, label, model, created_day, updated_day, entry_bytes,
  CAST(COALESCE(CAST(entry_bytes AS DOUBLE) / NULLIF(CAST(all_bytes AS DOUBLE), 0), 0) AS DOUBLE) AS share,
  skills_snapshot_bytes, system_prompt_report_bytes, acp_bytes, other_bytes, transcript_bytes, transcript_events, cost_microusd
FROM ranked
WHERE rank <= COALESCE($limit, 20)
ORDER BY rank
