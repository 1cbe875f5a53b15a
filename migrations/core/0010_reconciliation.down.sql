-- Forgets every run and who resolved what: only for development. Tools refuse it elsewhere.
DROP TABLE reconciliation_items;
DROP TABLE reconciliation_runs;
