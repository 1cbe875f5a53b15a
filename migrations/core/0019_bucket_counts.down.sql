DROP TABLE bucket_counts;
