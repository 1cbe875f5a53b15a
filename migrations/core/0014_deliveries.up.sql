-- Deliveries made, each destination's in the order of time: what was delivered is in no other index of the outbox.
CREATE INDEX outbox_delivered ON outbox (destination_id, settled_at) WHERE state = 'delivered';
