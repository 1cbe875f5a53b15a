-- Forgets what money was asked for and what became of it (the entries still say so, but for the amounts): only for development.
-- Tools refuse it elsewhere.
DROP TABLE settlement_drives;
DROP TABLE settlements;
