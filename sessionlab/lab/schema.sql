-- The mirror's tables. One row's meaning, units and null rules of every column: data/README.md (a test keeps both equal).
-- Times: *_ms are epoch milliseconds UTC, *_day the UTC calendar day. Money: integer micro-dollars. Sizes: bytes.

CREATE TABLE meta (name VARCHAR NOT NULL, value VARCHAR);

CREATE TABLE agents (
  agent_id VARCHAR NOT NULL,
  store_kind VARCHAR NOT NULL,
  store_path VARCHAR NOT NULL,
  store_bytes BIGINT NOT NULL,
  sessions BIGINT NOT NULL,
  transcripts BIGINT NOT NULL,
  transcript_bytes BIGINT NOT NULL,
  archives BIGINT NOT NULL,
  archive_bytes BIGINT NOT NULL,
  schema_version INTEGER,
  app_version VARCHAR,
  fingerprint VARCHAR NOT NULL,
  snapshot_method VARCHAR NOT NULL
);

CREATE TABLE sessions (
  session_number INTEGER NOT NULL,
  agent_id VARCHAR NOT NULL,
  session_key VARCHAR NOT NULL,
  session_id VARCHAR,
  kind VARCHAR NOT NULL,
  channel VARCHAR,
  chat_type VARCHAR,
  status VARCHAR,
  label VARCHAR,
  model_provider VARCHAR,
  model VARCHAR,
  parent_key VARCHAR,
  cron_job_id VARCHAR,
  created_ms BIGINT,
  created_day DATE,
  created_from VARCHAR NOT NULL,
  updated_ms BIGINT,
  updated_day DATE,
  input_tokens BIGINT,
  output_tokens BIGINT,
  total_tokens BIGINT,
  context_tokens BIGINT,
  compactions BIGINT,
  entry_bytes BIGINT NOT NULL,
  skills_snapshot_bytes BIGINT NOT NULL,
  system_prompt_report_bytes BIGINT NOT NULL,
  acp_bytes BIGINT NOT NULL,
  other_bytes BIGINT NOT NULL,
  transcript_bytes BIGINT NOT NULL,
  transcript_events BIGINT NOT NULL,
  cost_microusd BIGINT NOT NULL,
  is_transcript_missing BOOLEAN NOT NULL,
  is_archived BOOLEAN NOT NULL
);

CREATE TABLE transcripts (
  transcript_id INTEGER NOT NULL,
  agent_id VARCHAR NOT NULL,
  session_key VARCHAR,
  session_id VARCHAR,
  source VARCHAR NOT NULL,
  is_in_store BOOLEAN NOT NULL,
  path VARCHAR NOT NULL,
  bytes BIGINT NOT NULL,
  mtime_ns BIGINT NOT NULL,
  events BIGINT NOT NULL,
  bad_lines BIGINT NOT NULL,
  first_ms BIGINT,
  last_ms BIGINT,
  parent_session VARCHAR,
  is_orphan BOOLEAN NOT NULL
);

-- Events lie in two tables, and are read through the view `events`: text that a million rows repeat would be most of the work of a load.
CREATE TABLE event_labels (
  label INTEGER NOT NULL,
  type VARCHAR NOT NULL,
  role VARCHAR,
  provider VARCHAR,
  model VARCHAR,
  tool VARCHAR,
  is_error BOOLEAN
);

CREATE TABLE event_rows (
  transcript_id INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  label INTEGER NOT NULL,
  time_ms BIGINT,
  input_tokens BIGINT,
  output_tokens BIGINT,
  cache_read_tokens BIGINT,
  cache_write_tokens BIGINT,
  total_tokens BIGINT,
  cost_microusd BIGINT,
  bytes BIGINT NOT NULL,
  is_copy BOOLEAN NOT NULL
);

CREATE VIEW events AS
SELECT
  r.transcript_id, t.agent_id, t.session_key, r.seq, r.time_ms,
  CASE WHEN r.time_ms >= 0 AND r.time_ms < 253402300800000
    THEN DATE '1970-01-01' + CAST(FLOOR(r.time_ms / 86400000.0) AS INTEGER) END AS event_day,
  l.type, l.role, l.provider, l.model, l.tool, l.is_error,
  r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_tokens, r.total_tokens, r.cost_microusd, r.bytes, r.is_copy
FROM event_rows AS r
JOIN transcripts AS t ON t.transcript_id = r.transcript_id
JOIN event_labels AS l ON l.label = r.label;

-- What a model was asked and answered, each once: no copies, and not OpenClaw's own notes of what it delivered.
CREATE VIEW calls AS
SELECT
  transcript_id, agent_id, session_key, seq, time_ms, event_day, provider, model,
  input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
  COALESCE(total_tokens, COALESCE(input_tokens, 0) + COALESCE(output_tokens, 0) + COALESCE(cache_read_tokens, 0)
    + COALESCE(cache_write_tokens, 0)) AS total_tokens,
  cost_microusd
FROM events
WHERE role = 'assistant' AND NOT is_copy
  AND COALESCE(total_tokens, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_microusd) IS NOT NULL
  AND NOT (COALESCE(provider, '') = 'openclaw' AND COALESCE(model, '') IN ('delivery-mirror', 'gateway-injected'));

-- 0 to 9999, for calendars without gaps: no two engines have the same function for it.
CREATE VIEW numbers AS
WITH digits AS (SELECT n FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS listed(n))
SELECT ones.n + 10 * tens.n + 100 * hundreds.n + 1000 * thousands.n AS n
FROM digits AS ones CROSS JOIN digits AS tens CROSS JOIN digits AS hundreds CROSS JOIN digits AS thousands;

-- The fields of entries, too, lie in two tables and are read through a view.
CREATE TABLE field_names (
  field_number INTEGER NOT NULL,
  field VARCHAR NOT NULL
);

CREATE TABLE field_rows (
  session_number INTEGER NOT NULL,
  field_number INTEGER NOT NULL,
  bytes BIGINT NOT NULL
);

CREATE VIEW fields AS
SELECT s.agent_id, s.session_key, n.field, r.bytes
FROM field_rows AS r
JOIN sessions AS s ON s.session_number = r.session_number
JOIN field_names AS n ON n.field_number = r.field_number;

CREATE TABLE storage (
  agent_id VARCHAR NOT NULL,
  part VARCHAR NOT NULL,
  detail VARCHAR NOT NULL,
  files BIGINT NOT NULL,
  bytes BIGINT NOT NULL
);

CREATE TABLE problems (
  agent_id VARCHAR,
  severity VARCHAR NOT NULL,
  code VARCHAR NOT NULL,
  message VARCHAR NOT NULL,
  path VARCHAR,
  line BIGINT,
  session_key VARCHAR,
  advice VARCHAR NOT NULL,
  count BIGINT NOT NULL
);
