-- question: Which cron jobs leave sessions behind, and how many?
-- params: $now_ms BIGINT required - the clock that ages are measured against, epoch milliseconds UTC
-- params: $agent VARCHAR optional - only this agent
-- columns: agent_id VARCHAR text - the agent
-- columns: cron_job_id VARCHAR text - the job
-- columns: runs_kept BIGINT sessions - run sessions still in the store
-- columns: first_run_day DATE day - UTC day of the oldest kept run, NULL when unknown
-- columns: last_run_day DATE day - UTC day of the newest kept run
-- columns: runs_last_7_days BIGINT sessions - kept runs of the seven days before $now_ms
-- columns: runs_older_than_1_day BIGINT sessions - kept runs last updated more than 24 hours before $now_ms, OpenClaw's default retention
-- columns: bytes_older_than_1_day BIGINT bytes - size of their entries
-- columns: entry_bytes BIGINT bytes - size of the kept runs' entries; the job's own session is not among them
-- columns: transcript_bytes BIGINT bytes - size of the kept runs' transcripts
-- columns: cost_microusd BIGINT micro-dollars - cost of the kept runs' calls
-- columns: share_of_sessions DOUBLE ratio - the job's kept runs by all sessions of the agent, 0 to 1
-- order: runs_kept DESC, agent_id, cron_job_id
WITH per_agent AS (
  SELECT agent_id, COUNT(*) AS sessions FROM sessions WHERE ($agent IS NULL OR agent_id = $agent) GROUP BY agent_id
),
cron AS (
  SELECT
    agent_id, cron_job_id, entry_bytes, transcript_bytes, cost_microusd,
    CASE WHEN kind = 'cron-run' THEN 1 ELSE 0 END AS is_run,
    CASE WHEN kind = 'cron-run' THEN COALESCE(created_day, updated_day) END AS run_day,
    CASE WHEN kind = 'cron-run' AND COALESCE(created_ms, updated_ms) >= $now_ms - 604800000
      AND COALESCE(created_ms, updated_ms) <= $now_ms THEN 1 ELSE 0 END AS is_recent,
    CASE WHEN kind = 'cron-run' AND COALESCE(updated_ms, created_ms) < $now_ms - 86400000 THEN 1 ELSE 0 END AS is_old
  FROM sessions
  WHERE cron_job_id IS NOT NULL AND ($agent IS NULL OR agent_id = $agent)
),
per_job AS (
  SELECT
    agent_id, cron_job_id,
    SUM(is_run) AS runs_kept,
    MIN(run_day) AS first_run_day,
    MAX(run_day) AS last_run_day,
    SUM(is_recent) AS runs_last_7_days,
    SUM(is_old) AS runs_older_than_1_day,
    SUM(is_old * entry_bytes) AS bytes_older_than_1_day,
    SUM(is_run * entry_bytes) AS entry_bytes,
    SUM(is_run * transcript_bytes) AS transcript_bytes,
    SUM(is_run * cost_microusd) AS cost_microusd
  FROM cron
  GROUP BY agent_id, cron_job_id
)
SELECT
  j.agent_id,
  j.cron_job_id,
  CAST(j.runs_kept AS BIGINT) AS runs_kept,
  j.first_run_day,
  j.last_run_day,
  CAST(j.runs_last_7_days AS BIGINT) AS runs_last_7_days,
  CAST(j.runs_older_than_1_day AS BIGINT) AS runs_older_than_1_day,
  CAST(j.bytes_older_than_1_day AS BIGINT) AS bytes_older_than_1_day,
  CAST(j.entry_bytes AS BIGINT) AS entry_bytes,
  CAST(j.transcript_bytes AS BIGINT) AS transcript_bytes,
  CAST(j.cost_microusd AS BIGINT) AS cost_microusd,
  CAST(j.runs_kept AS DOUBLE) / CAST(a.sessions AS DOUBLE) AS share_of_sessions
FROM per_job AS j
JOIN per_agent AS a ON a.agent_id = j.agent_id
ORDER BY runs_kept DESC, agent_id, cron_job_id
