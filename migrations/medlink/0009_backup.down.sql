-- The snapshots stay in the bucket; the next run writes its objects again.
DROP TABLE backup_drills;
DROP TABLE backup_progress;
DROP TABLE backup_files;
DROP TABLE backup_objects;
DROP TABLE backup_runs;
