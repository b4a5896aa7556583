-- question: Which stores were read, how, and in which state were they?
-- params: $agent VARCHAR optional - only this agent
-- columns: agent_id VARCHAR text - the agent
-- columns: store_kind VARCHAR text - backend of its store
-- columns: store_path VARCHAR text - where the store lies
-- columns: store_bytes BIGINT bytes - the store's own files on disk
-- columns: sessions BIGINT sessions - entries in the store
-- columns: transcripts BIGINT transcripts - transcripts in use
-- columns: transcript_bytes BIGINT bytes - their size
-- columns: archives BIGINT transcripts - archived transcripts
-- columns: archive_bytes BIGINT bytes - their size
-- columns: schema_version BIGINT version - format version of the store, NULL where the format has none
-- columns: app_version VARCHAR text - program version that wrote it, where the store says
-- columns: fingerprint VARCHAR text - identity of the contents
-- columns: snapshot_method VARCHAR text - how the bytes were obtained
-- order: agent_id, store_kind, store_path
SELECT
  agent_id, store_kind, store_path, store_bytes, sessions, transcripts, transcript_bytes, archives, archive_bytes,
  CAST(schema_version AS BIGINT) AS schema_version, app_version, fingerprint, snapshot_method
FROM agents
WHERE ($agent IS NULL OR agent_id = $agent)
ORDER BY agent_id, store_kind, store_path
