-- Everything that a schema may hold and that a careless copy loses. Run as the application's own role.
create schema app;
create schema "Odd. schema, ""quoted""";
create type app.mood as enum ('sad', 'ok', 'happy');
create type app.address as (street text, zip varchar(10));
create domain app.email as text check (value ~ '@') not null;
create type app.float_range as range (subtype = float8, subtype_diff = float8mi);
create function app.touch() returns trigger language plpgsql as $f$ begin new.touched = now(); return new; end $f$;
create function app.total(id bigint) returns numeric language sql stable as 'select 1.5 * id';
create procedure app.nothing() language sql as 'select 1';
create aggregate app.sum2(numeric) (sfunc = numeric_add, stype = numeric, initcond = '0');
create table app.customer (
    id bigint generated always as identity primary key,
    mail app.email unique,
    mood app.mood default 'ok',
    place app.address,
    lower_mail text generated always as (lower(mail)) stored,
    status varchar(10) check (status in ('new', 'old', 'gone')),
    touched timestamptz
);
create table app.orders (
    id serial primary key,
    customer bigint not null references app.customer on delete cascade,
    placed timestamptz not null default now(),
    amount numeric(12, 2) not null check (amount >= 0),
    tags text[] not null default '{}',
    extra jsonb,
    old_json json,
    photo bytea,
    span tstzrange,
    ratio float8,
    exclude using gist (span with &&) where (span is not null)
);
create index orders_open on app.orders (customer, placed desc) where amount > 0 and amount::text <> 'x';
create index orders_tags on app.orders using gin (tags);
create trigger touch before insert or update on app.customer for each row execute function app.touch();
create view app.rich as select c.id, c.mail, sum(o.amount) as total from app.customer c join app.orders o on o.customer = c.id
    where c.status in ('new', 'old') group by 1, 2 having sum(o.amount) > 10;
create materialized view app.daily as select date_trunc('day', placed at time zone 'UTC') as day, count(*) from app.orders group by 1;
create unique index on app.daily (day);
create rule keep as on delete to app.rich do instead nothing;
create table app.log (at timestamptz not null, line text) partition by range (at);
create table app.log_2025 partition of app.log for values from ('2025-01-01') to ('2026-01-01');
create table app.log_rest partition of app.log default;
create index on app.log (at);
create table app.base (a int, b text);
create table app.derived (c int) inherits (app.base);
alter table app.base add column d int default 7;
create unlogged table app.cache (k text primary key, v text);
create table app.empty ();
create table app.secret (id int primary key, who name default current_user, holdfast_row text);
alter table app.secret enable row level security;
create policy mine on app.secret using (who = current_user);
create statistics app.orders_stat on customer, amount from app.orders;
create sequence app.down increment -1 minvalue -100 start -5;
create table "Odd. schema, ""quoted"""."Tä ble.with ""all"", of
it" ("a column" int, "Select" text, "t" int, "ü" text);
grant select on app.orders to public;
comment on table app.orders is 'it''s what people bought';
comment on column app.orders.amount is 'in euro';
alter default privileges in schema app grant select on tables to public;

insert into app.customer (mail, mood, place, status)
    select 'c' || i || '@example.org', (array['sad', 'ok', 'happy'])[1 + i % 3]::app.mood, row('Street "' || i || '", 1', i::text)::app.address,
        (array['new', 'old', 'gone'])[1 + i % 3] from generate_series(1, 300) i;
insert into app.orders (customer, amount, tags, extra, old_json, photo, ratio)
    select 1 + i % 300, i / 7.0, array['t' || i % 5, 'ünï"c,ode'], jsonb_build_object('n', i, 'x', null), '{"a" : 1.0, "a":1.00}',
        decode(repeat('00ff5c27', i % 9), 'hex'), case i % 4 when 0 then 'NaN' when 1 then '-0' when 2 then 1.0 / 3 else '-infinity' end::float8
    from generate_series(1, 3000) i;
insert into app.orders (customer, amount, span) values (1, 1, '[2025-01-01,2025-02-01)');
insert into app.log select '2025-06-01'::timestamptz + i * interval '1 day', e'line\t' || i || e'\n\\.' from generate_series(1, 400) i;
insert into app.base values (1, 'x'); insert into app.derived values (2, 'y', 3, 4);
insert into app.cache values ('k', 'v'); insert into app.secret values (1, 'somebody else'), (2, current_user);
insert into app.empty default values; insert into app.empty default values;
insert into "Odd. schema, ""quoted"""."Tä ble.with ""all"", of
it" values (1, 'é', 2, e'\\x'), (null, null, null, null);
refresh materialized view app.daily;
select nextval('app.down'), nextval('app.down');
select lo_from_bytea(0, decode(repeat('0123456789abcdef', 20000), 'hex')), lo_from_bytea(0, '');
