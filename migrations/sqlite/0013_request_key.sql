-- Which run a request with an Idempotency-Key has started, so that a repeat of the same request is answered with that
-- run and starts none.
create table request_key (
    caller text not null,
    key text not null,
    run text not null references run (id),
    at bigint not null,
    primary key (caller, key)
);
create index request_key_at on request_key (at);

-- Lists over all environments are read a page at a time.
create index run_created on run (created_at, id);
create index checkpoint_created on checkpoint (created_at, id);
