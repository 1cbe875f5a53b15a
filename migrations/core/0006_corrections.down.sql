-- Forgets which ids were erased and which request supersedes which (the entries still say so): only for development. Tools
-- refuse it elsewhere.
DROP TABLE pending_erasures;
DROP TABLE erased_ids;
DROP TABLE id_lookup_keys;
DROP INDEX requests_corrects;
ALTER TABLE claims DROP COLUMN erased_seq;
ALTER TABLE requests DROP COLUMN erased_seq;
ALTER TABLE requests DROP COLUMN superseded_by;
ALTER TABLE requests DROP COLUMN incident_ticket;
ALTER TABLE requests DROP COLUMN corrects;
