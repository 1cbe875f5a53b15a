-- Forgets what was measured. Nothing else rests on it.
DROP TABLE metric_marks;
DROP TABLE metric_flushes;
DROP TABLE metric_totals;
DROP TABLE metric_hours;
DROP TABLE metric_minutes;
