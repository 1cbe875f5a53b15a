-- The history goes: where each anchor stands is in anchors, and what was confirmed is on the chain.
DROP TRIGGER anchor_events_delete;
DROP TRIGGER anchor_events_update;
DROP TRIGGER anchor_events_insert;
DROP TABLE anchor_events;
