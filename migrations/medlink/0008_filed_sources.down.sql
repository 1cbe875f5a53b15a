DROP TABLE filed_sources;
