-- A definition that came from a vault waits for a person who looks at it: 1 until somebody has.
alter table environment add column to_confirm bigint not null default 0;
