DROP TABLE incident_notes;
DROP TABLE incidents;
