-- What the keyed hashes of bulk_rows and fhir_claims are made of, so that they can be made anew under another key: a file or a
-- resource that is sent again after a rotation must be recognized. Gone with the claim.

CREATE TABLE filed_sources (
  claim_id TEXT NOT NULL PRIMARY KEY,
  clinic_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('bulk', 'fhir')),
  source_sealed TEXT NOT NULL -- {key, content}
) WITHOUT ROWID;
