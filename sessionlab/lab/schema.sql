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

CREATE TABLE events (
  transcript_id INTEGER NOT NULL,
  agent_id VARCHAR NOT NULL,
  session_key VARCHAR,
  seq INTEGER NOT NULL,
  time_ms BIGINT,
  event_day DATE,
  type VARCHAR NOT NULL,
  role VARCHAR,
  provider VARCHAR,
  model VARCHAR,
  tool VARCHAR,
  is_error BOOLEAN,
  input_tokens BIGINT,
  output_tokens BIGINT,
  cache_read_tokens BIGINT,
  cache_write_tokens BIGINT,
  total_tokens BIGINT,
  cost_microusd BIGINT,
  bytes BIGINT NOT NULL,
  is_copy BOOLEAN NOT NULL
);

CREATE TABLE fields (
  agent_id VARCHAR NOT NULL,
  session_key VARCHAR NOT NULL,
  field VARCHAR NOT NULL,
  bytes BIGINT NOT NULL
);

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
