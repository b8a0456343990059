-- A run works on an environment or on a vault. SQLite cannot loosen a column, so the table is made anew; what refers to it
-- finds its rows again before the end of this transaction.
pragma defer_foreign_keys = on;
create table run_before as select * from run;
drop table run;
create table run (
    id text primary key not null,
    kind text not null,
    -- what it works on: one of the two
    environment text references environment (id),
    vault text references vault (id),
    checkpoint text,
    parent text references run (id),
    state text not null,
    -- whether it needs the slot of what it works on
    exclusive bigint not null,
    request text not null,
    cause text not null,
    created_by text not null,
    created_at bigint not null,
    started_at bigint,
    ended_at bigint,
    message text,
    sealed bigint not null default 0,
    gate_open bigint,
    last_event bigint not null default 0,
    -- the job
    attempt bigint not null default 0,
    fence bigint not null default 0,
    worker text,
    lease_until bigint,
    not_before bigint not null default 0,
    cancel_requested bigint not null default 0,
    cancel_by text,
    -- one per slot of a schedule, so that any number of servers need no leader
    schedule_slot text unique,
    check ((environment is null) <> (vault is null))
);
insert into run (id, kind, environment, checkpoint, parent, state, exclusive, request, cause, created_by, created_at, started_at,
    ended_at, message, sealed, gate_open, last_event, attempt, fence, worker, lease_until, not_before, cancel_requested,
    cancel_by, schedule_slot)
select id, kind, environment, checkpoint, parent, state, exclusive, request, cause, created_by, created_at, started_at,
    ended_at, message, sealed, gate_open, last_event, attempt, fence, worker, lease_until, not_before, cancel_requested,
    cancel_by, schedule_slot
from run_before;
drop table run_before;
create unique index run_slot on run (coalesce(vault, environment)) where state = 'running' and exclusive = 1;
create index run_queue on run (state, not_before, created_at);
create index run_environment on run (environment, created_at);
create index run_vault on run (vault, created_at) where vault is not null;
create index run_checkpoint on run (checkpoint);

-- Bytes that its storage still has room for, and when that was seen; null where it cannot say.
alter table vault add column free bigint;
-- The newest check: when it ended, and how many damaged places it found.
alter table vault add column checked_at bigint;
alter table vault add column damaged bigint not null default 0;
-- Which share of the data the next daily check reads.
alter table vault add column next_part bigint not null default 1;
