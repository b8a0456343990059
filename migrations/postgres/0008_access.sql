-- Keys of programs. The token itself is nowhere: only its SHA-256.
create table api_key (
    id text primary key not null,
    name text not null,
    hash text not null unique,
    -- JSON: roles and scopes
    access text not null,
    -- JSON: networks that it may come from; none means anywhere
    networks text not null,
    created_at bigint not null,
    created_by text not null,
    expires_at bigint not null,
    last_used_at bigint,
    last_used_from text,
    -- the key that this one takes the place of
    replaces text references api_key (id),
    revoked_at bigint,
    revoked_by text
);

-- Each line of the audit log carries the hash of the one before it, so that none can be changed or left out unseen.
alter table audit add column sequence bigint;
alter table audit add column hash text;
create unique index audit_sequence on audit (sequence) where sequence is not null;
create table audit_head (
    only_one bigint primary key not null,
    sequence bigint not null,
    hash text not null
);
insert into audit_head (only_one, sequence, hash) values (1, 0, '');
-- A line from before gets its place in the chain once.
create function audit_is_append_only() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and old.hash is null then
        return new;
    end if;
    raise exception 'the audit log is append-only';
end
$$;
create trigger audit_is_append_only before update or delete on audit
    for each row execute function audit_is_append_only();
create trigger audit_is_not_truncated before truncate on audit
    for each statement execute function audit_is_append_only();
