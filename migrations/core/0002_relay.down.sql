-- Nothing of value: tokens start again only together with the outbox of 0001.
DROP TABLE relay_rates;
DROP TABLE relay_leases;
