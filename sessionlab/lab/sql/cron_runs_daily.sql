-- question: How do the kept sessions of cron runs pile up, job by job?
-- params: $agent VARCHAR optional - only this agent
-- params: $since_day DATE optional - first UTC day shown, inclusive
-- params: $until_day DATE optional - last UTC day shown, inclusive
-- params: $now_ms BIGINT optional - the clock: the days run up to it, and what is dated later counts on its day
-- params: $limit BIGINT optional - how many jobs are named, those with the most kept runs; the rest is '(other jobs)'; 8 when not given
-- columns: day DATE day - UTC day, without gaps, for every job
-- columns: cron_job_id VARCHAR text - the job; '(other jobs)' sums those not named. Jobs of the same name of several agents count as one
-- columns: runs BIGINT sessions - kept runs created on the day
-- columns: cumulative_runs BIGINT sessions - kept runs up to and including the day
-- columns: cumulative_bytes BIGINT bytes - size of their entries
-- order: day, cron_job_id
WITH clock AS (
  SELECT CAST(DATE '1970-01-01' + CAST(FLOOR($now_ms / 86400000.0) AS INTEGER) * INTERVAL '1' DAY AS DATE) AS today
),
dated AS (
  SELECT
    COALESCE(sessions.cron_job_id, '(no job id)') AS cron_job_id,
    sessions.entry_bytes,
    clock.today,
    CASE WHEN COALESCE(created_day, updated_day) > clock.today THEN clock.today ELSE COALESCE(created_day, updated_day) END AS day
  FROM sessions
  CROSS JOIN clock
  WHERE kind = 'cron-run' AND ($agent IS NULL OR agent_id = $agent)
),
-- The days shown run over ten years at most: a hostile date must not make a million rows. What is older, or has no date
-- at all, counts on the first day shown, so that the last cumulative value is always the true total.
span AS (
  SELECT COALESCE(MAX(today), MAX(day), DATE '1970-01-01') AS last_day, COALESCE(MIN(day), MAX(today), DATE '1970-01-01') AS oldest_day
  FROM dated
  HAVING COUNT(*) > 0
),
bounds AS (
  SELECT last_day, GREATEST(oldest_day, CAST(last_day - 3652 * INTERVAL '1' DAY AS DATE)) AS first_day FROM span
),
spine AS (
  SELECT CAST(bounds.first_day + numbers.n * INTERVAL '1' DAY AS DATE) AS day
  FROM bounds
  CROSS JOIN numbers
  WHERE CAST(bounds.first_day + numbers.n * INTERVAL '1' DAY AS DATE) <= bounds.last_day
),
ranked AS (
  SELECT cron_job_id, ROW_NUMBER() OVER (ORDER BY COUNT(*) DESC, cron_job_id) AS rank FROM dated GROUP BY cron_job_id
),
placed AS (
  SELECT
    CASE WHEN d.day IS NULL OR d.day < b.first_day THEN b.first_day ELSE d.day END AS day,
    CASE WHEN r.rank <= COALESCE($limit, 8) THEN d.cron_job_id ELSE '(other jobs)' END AS job,
    d.entry_bytes
  FROM dated AS d
  CROSS JOIN bounds AS b
  JOIN ranked AS r ON r.cron_job_id = d.cron_job_id
),
runs_daily AS (
  SELECT day, job, COUNT(*) AS runs, SUM(entry_bytes) AS run_bytes FROM placed GROUP BY day, job
),
jobs AS (
  SELECT DISTINCT job FROM placed
),
running AS (
  SELECT
    spine.day, jobs.job, COALESCE(r.runs, 0) AS runs,
    SUM(COALESCE(r.runs, 0))
      OVER (PARTITION BY jobs.job ORDER BY spine.day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS cumulative_runs,
    SUM(COALESCE(r.run_bytes, 0))
      OVER (PARTITION BY jobs.job ORDER BY spine.day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS cumulative_bytes
  FROM spine
  CROSS JOIN jobs
  LEFT JOIN runs_daily AS r ON r.day = spine.day AND r.job = jobs.job
)
SELECT
  day,
  job AS cron_job_id,
  CAST(runs AS BIGINT) AS runs,
  CAST(cumulative_runs AS BIGINT) AS cumulative_runs,
  CAST(cumulative_bytes AS BIGINT) AS cumulative_bytes
FROM running
WHERE ($since_day IS NULL OR day >= $since_day) AND ($until_day IS NULL OR day <= $until_day)
ORDER BY day, cron_job_id
