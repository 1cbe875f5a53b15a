DROP TABLE IF EXISTS fhir_claims;
DROP TABLE IF EXISTS edi_sandbox_claims;
DROP TABLE IF EXISTS edi_counters;
DROP TABLE IF EXISTS edi_exchanges;
DROP TABLE IF EXISTS edi_transactions;
