"""The bridge's own tables. What stands here is the truth about runs; DBOS's rows only say where a workflow was."""
