-- question: Which kinds of session make the store big?
-- params: $agent VARCHAR optional - only this agent
-- columns: kind VARCHAR text - session kind
-- columns: sessions BIGINT sessions - sessions of the kind
-- columns: entry_bytes BIGINT bytes - size of their entries
-- columns: share DOUBLE ratio - part of all entry bytes, 0 to 1
-- columns: mean_entry_bytes DOUBLE bytes - mean entry size
-- columns: max_entry_bytes BIGINT bytes - biggest entry
-- columns: transcript_bytes BIGINT bytes - size of their transcripts
-- order: entry_bytes DESC, kind
WITH per_kind AS (
  SELECT
    kind,
    COUNT(*) AS sessions,
    SUM(entry_bytes) AS entry_bytes,
    MAX(entry_bytes) AS max_entry_bytes,
    SUM(transcript_bytes) AS transcript_bytes
  FROM sessions
  WHERE ($agent IS NULL OR agent_id = $agent)
  GROUP BY kind
)
SELECT
  kind,
  CAST(sessions AS BIGINT) AS sessions,
  CAST(entry_bytes AS BIGINT) AS entry_bytes,
  CAST(COALESCE(CAST(entry_bytes AS DOUBLE) / NULLIF(CAST(SUM(entry_bytes) OVER () AS DOUBLE), 0), 0) AS DOUBLE) AS share,
  CAST(entry_bytes AS DOUBLE) / CAST(sessions AS DOUBLE) AS mean_entry_bytes,
  CAST(max_entry_bytes AS BIGINT) AS max_entry_bytes,
  CAST(transcript_bytes AS BIGINT) AS transcript_bytes
FROM per_kind
ORDER BY entry_bytes DESC, kind
