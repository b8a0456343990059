-- Which run a request of a pipeline asked for, so that a repeat of the same request joins it. `key` is the request's
-- Idempotency-Key, and empty where it had none.
create table gate (
    caller text not null,
    environment text not null references environment (id),
    tag text not null,
    key text not null,
    run text not null references run (id),
    at bigint not null,
    primary key (caller, environment, tag, key)
);
create index gate_key on gate (caller, key);
create index gate_at on gate (at);
