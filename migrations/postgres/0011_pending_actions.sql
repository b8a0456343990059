-- What a person at a terminal has asked for and must confirm on a page, after a new sign-in.
create table pending_action (
    id text primary key not null,
    -- `<issuer>#<sub>`: it is theirs alone
    subject text not null,
    name text not null,
    -- the very request: method, path and query, SHA-256 of the body
    method text not null,
    target text not null,
    body_hash text not null,
    -- what it takes, asked again when it is confirmed
    permission text not null,
    project text,
    -- for people
    description text not null,
    -- the body with its secrets masked, wrapped by the server key
    shown text not null,
    asked_from text,
    -- waiting, confirmed, refused, used
    state text not null,
    made_at bigint not null,
    expires_at bigint not null,
    decided_at bigint,
    used_at bigint
);
create index pending_action_expires on pending_action (expires_at);
create index pending_action_subject on pending_action (subject);
