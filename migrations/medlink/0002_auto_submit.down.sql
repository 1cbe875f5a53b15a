DROP TABLE IF EXISTS hub_settings;
DROP TABLE IF EXISTS breakers;
DROP INDEX IF EXISTS auto_submit_jobs_clinic_turn;
DROP INDEX IF EXISTS auto_submit_jobs_turn;
DROP INDEX IF EXISTS auto_submit_jobs_started;
DROP INDEX IF EXISTS auto_submit_jobs_waiting;
ALTER TABLE auto_submit_jobs DROP COLUMN deferrals;
ALTER TABLE auto_submit_jobs DROP COLUMN turn;
ALTER TABLE auto_submit_jobs DROP COLUMN started_at;
