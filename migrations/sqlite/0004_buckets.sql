-- How a vault in a bucket is reached, its credential included: JSON, wrapped by the server key. None for a disk.
alter table vault add column access text;
-- When it was last pruned to the end.
alter table vault add column pruned_at bigint;
