-- question: What takes the room on disk: the store, its log and backups, transcripts, archives?
-- params: $agent VARCHAR optional - only this agent
-- columns: agent_id VARCHAR text - the agent
-- columns: part VARCHAR text - what the files are; 'inside the store' rows split the store file and are not counted again
-- columns: detail VARCHAR text - more exactly
-- columns: files BIGINT files - how many
-- columns: bytes BIGINT bytes - their size
-- columns: is_detail BOOLEAN flag - true for 'inside the store'
-- columns: share DOUBLE ratio - part of the agent's bytes on disk, 0 to 1; for details the part of the store's tables
-- order: agent_id, is_detail, bytes DESC, part, detail
WITH grouped AS (
  SELECT
    agent_id, part, detail,
    CASE WHEN part = 'inside the store' THEN TRUE ELSE FALSE END AS is_detail,
    CAST(SUM(files) AS BIGINT) AS files,
    CAST(SUM(bytes) AS BIGINT) AS bytes
  FROM storage
  WHERE ($agent IS NULL OR agent_id = $agent)
  GROUP BY agent_id, part, detail
)
SELECT
  agent_id, part, detail, files, bytes, is_detail,
  CAST(COALESCE(CAST(bytes AS DOUBLE)
    / NULLIF(CAST(SUM(bytes) OVER (PARTITION BY agent_id, is_detail) AS DOUBLE), 0), 0) AS DOUBLE) AS share
FROM grouped
ORDER BY agent_id, is_detail, bytes DESC, part, detail
