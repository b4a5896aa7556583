-- question: What is wrong, odd or lossy in what was read?
-- params: $agent VARCHAR optional - only this agent
-- params: $severity VARCHAR optional - only 'error', 'warning' or 'info'
-- columns: severity VARCHAR text - 'error', 'warning' or 'info', worst first
-- columns: code VARCHAR text - stable identifier of the finding
-- columns: count BIGINT findings - how many equal findings the row stands for
-- columns: message VARCHAR text - what was found
-- columns: advice VARCHAR text - what to do next
-- columns: agent_id VARCHAR text - the agent, NULL when it concerns none
-- columns: session_key VARCHAR text - the session, where known
-- columns: path VARCHAR text - the file, where known
-- columns: line BIGINT line - the line in it, 1-based, where known
-- order: severity, count DESC, code, message, agent_id NULLS FIRST, path NULLS FIRST, line NULLS FIRST, session_key NULLS FIRST, advice
SELECT severity, code, count, message, advice, agent_id, session_key, path, line
FROM problems
WHERE ($agent IS NULL OR agent_id = $agent) AND ($severity IS NULL OR severity = $severity)
ORDER BY
  CASE severity WHEN 'error' THEN 1 WHEN 'warning' THEN 2 ELSE 3 END, severity, count DESC, code, message,
  agent_id NULLS FIRST, path NULLS FIRST, line NULLS FIRST, session_key NULLS FIRST, advice
