-- Sessions from before end: what they hold was not wrapped by the server key.
drop table session;

create table session (
    -- hash of the id that the browser has
    id text primary key not null,
    -- what is kept for it between requests, wrapped by the server key
    data text not null,
    created_at bigint not null,
    expires_at bigint not null,
    -- all null until somebody is signed in by it
    name text,
    issuer text,
    subject text,
    -- the provider's own session
    sid text,
    -- who it is, with the provider's tokens, wrapped by the server key
    person text,
    signed_in_at bigint,
    seen_at bigint,
    -- somebody asks the provider anew until then
    renewing_until bigint not null default 0
);
create index session_expires on session (expires_at);
create index session_subject on session (subject) where subject is not null;
create index session_sid on session (issuer, sid) where sid is not null;

-- Tokens that count once.
create table used_token (
    issuer text not null,
    jti text not null,
    expires_at bigint not null,
    primary key (issuer, jti)
);
create index used_token_expires on used_token (expires_at);
