-- From where somebody signed in: the browser's own words, and the address that it came from.
alter table session add column agent text;
alter table session add column address text;

-- Who was ever let in, with what they had then.
create table member (
    -- `<issuer>#<sub>`, `link:<owner>`
    subject text primary key not null,
    name text not null,
    -- `person` or `program`
    kind text not null,
    -- null for a one-time link
    issuer text,
    -- JSON: roles as of the last time
    access text not null,
    first_seen_at bigint not null,
    last_seen_at bigint not null
);

-- When the break-glass password was tried: one row, which whoever tries locks.
create table break_glass (
    only_one bigint primary key not null,
    -- JSON: times of tries
    tries text not null
);
insert into break_glass (only_one, tries) values (1, '[]');

-- What was written into the audit log a short time ago, and is not written again so soon.
create table audited (
    subject text not null,
    what text not null,
    at bigint not null,
    primary key (subject, what)
);
create index audited_at on audited (at);

-- Programs have keys. What opened the REST API before there were keys opens nothing.
delete from credential where kind = 'program';
