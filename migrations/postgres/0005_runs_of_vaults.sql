-- A run works on an environment or on a vault.
alter table run alter column environment drop not null;
alter table run add column vault text references vault (id);
alter table run add constraint run_subject check ((environment is null) <> (vault is null));
drop index run_slot;
create unique index run_slot on run (coalesce(vault, environment)) where state = 'running' and exclusive = 1;
create index run_vault on run (vault, created_at) where vault is not null;

-- Bytes that its storage still has room for, and when that was seen; null where it cannot say.
alter table vault add column free bigint;
-- The newest check: when it ended, and how many damaged places it found.
alter table vault add column checked_at bigint;
alter table vault add column damaged bigint not null default 0;
-- Which share of the data the next daily check reads.
alter table vault add column next_part bigint not null default 1;
