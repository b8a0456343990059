-- Times are microseconds since 1970, UTC; JSON is text; booleans are 0 and 1.

create table organization (
    id text primary key not null,
    name text not null unique,
    title text,
    created_at bigint not null
);
insert into organization (id, name, created_at) values ('org_00000000000000000000', 'default', 0);

create table setting (
    name text primary key not null,
    value text not null
);

create table project (
    id text primary key not null,
    organization text not null references organization (id),
    name text not null,
    title text,
    created_at bigint not null,
    unique (organization, name)
);

create table environment (
    id text primary key not null,
    project text not null references project (id),
    name text not null,
    title text,
    -- the whole definition with its secrets, wrapped by the server key
    definition text not null,
    -- what may be shown of it
    shown text not null,
    applied_at bigint not null,
    applied_by text not null,
    created_at bigint not null,
    unique (project, name)
);

create table component (
    id text primary key not null,
    environment text not null references environment (id),
    position bigint not null,
    name text not null,
    kind text not null,
    host text not null,
    removed_at bigint,
    unique (environment, name)
);

create table vault (
    id text primary key not null,
    project text not null references project (id),
    -- primary or mirror
    role text not null,
    -- creating or ready: the wrapped password is kept before the repository is made
    state text not null,
    location text not null,
    password text not null,
    stored bigint not null default 0,
    kit_confirmed_at bigint,
    kit_confirmed_by text,
    created_at bigint not null,
    unique (project, location)
);
create unique index vault_primary on vault (project) where role = 'primary';

create table run (
    id text primary key not null,
    kind text not null,
    environment text not null references environment (id),
    checkpoint text,
    parent text references run (id),
    state text not null,
    -- whether it needs its environment's slot
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
    schedule_slot text unique
);
create unique index run_slot on run (environment) where state = 'running' and exclusive = 1;
create index run_queue on run (state, not_before, created_at);
create index run_environment on run (environment, created_at);
create index run_checkpoint on run (checkpoint);

create table event (
    run text not null references run (id),
    sequence bigint not null,
    at bigint not null,
    kind text not null,
    step text,
    component text,
    body text not null,
    primary key (run, sequence)
);
create index event_log on event (run, kind, at);

create table checkpoint (
    id text primary key not null,
    environment text not null references environment (id),
    run text not null unique references run (id),
    name text,
    description text,
    cause text not null,
    created_by text not null,
    -- the moment that its components were held
    created_at bigint not null,
    sealed_at bigint not null,
    total bigint not null,
    stored bigint not null,
    commit_id text,
    -- byte for byte
    manifest text not null,
    manifest_hash text not null,
    proof text not null,
    proof_at bigint,
    recovery_ms bigint,
    protection text not null,
    locked_until bigint,
    deleted_at bigint,
    deleted_by text
);
create index checkpoint_environment on checkpoint (environment, created_at);

create table checkpoint_component (
    checkpoint text not null references checkpoint (id),
    position bigint not null,
    name text not null,
    kind text not null,
    size bigint not null,
    stored bigint not null,
    items bigint not null,
    primary key (checkpoint, name)
);

create table checkpoint_copy (
    checkpoint text not null references checkpoint (id),
    vault text not null references vault (id),
    snapshot text not null,
    tree text not null,
    integrity text not null,
    checked_at bigint,
    message text,
    -- when the snapshot of a deleted checkpoint was removed from the vault
    forgotten_at bigint,
    primary key (checkpoint, vault)
);

create table tag (
    checkpoint text not null references checkpoint (id),
    name text not null,
    created_at bigint not null,
    created_by text not null,
    primary key (checkpoint, name)
);
create index tag_name on tag (name);

create table drill (
    id text primary key not null,
    checkpoint text not null references checkpoint (id),
    run text not null references run (id),
    verdict text not null,
    started_at bigint not null,
    duration_ms bigint not null,
    report text not null
);
create index drill_checkpoint on drill (checkpoint, started_at);

create table pack_read (
    vault text not null references vault (id),
    pack text not null,
    read_at bigint not null,
    primary key (vault, pack)
);

create table deploy (
    id text primary key not null,
    environment text not null references environment (id),
    external_id text not null,
    commit_id text,
    started_at bigint not null,
    ended_at bigint,
    outcome text,
    checkpoint_before text references checkpoint (id),
    checkpoint_after text references checkpoint (id),
    unique (environment, external_id)
);

create table sample (
    day text not null,
    environment text not null references environment (id),
    total bigint not null,
    stored bigint not null,
    primary key (day, environment)
);

create table audit (
    id text primary key not null,
    at bigint not null,
    who text not null,
    action text not null,
    subject text not null,
    detail text not null
);
create index audit_at on audit (at);

create table credential (
    hash text primary key not null,
    name text not null,
    kind text not null,
    created_at bigint not null,
    revoked_at bigint
);

create table sign_in_link (
    hash text primary key not null,
    created_by text not null,
    created_at bigint not null,
    expires_at bigint not null,
    used_at bigint
);

create table session (
    id text primary key not null,
    data text not null,
    created_at bigint not null,
    expires_at bigint not null
);
create index session_expires on session (expires_at);
