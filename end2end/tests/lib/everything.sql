-- A database with every kind of object that PostgreSQL 15 knows and a role without superuser's rights can make, each with
-- rows where it can have rows. Run in an empty database as its owner.
\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;

create schema everything;
create schema "Odd Names";
comment on schema everything is 'every kind of object';
set search_path = everything, public;

create extension citext schema everything;
create extension hstore schema everything;
create extension btree_gist schema everything;
create extension pg_trgm schema everything;
comment on extension citext is 'text without case';

-- Types
create type mood as enum ('sad', 'it''s "ok"', 'happy', E'tab\there');
create type point3 as (x double precision, y double precision, z double precision, label text);
create type nested as (at point3, moods mood[]);
create type spans as range (subtype = timestamptz, multirange_type_name = many_spans);
create domain posint as integer default 1 check (value > 0);
create domain short_name as varchar(12) collate "C" not null check (value <> '');
create domain posints as posint[] check (cardinality(value) < 10);
comment on type mood is 'how it feels';
comment on domain posint is 'above zero';
create collation folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
create collation german from "C";

-- Functions and what stands on them
create function add(a integer, b integer default 1) returns integer language sql immutable strict parallel safe as 'select a + b';
create function add(a text, b text) returns text language sql immutable as $$ select a || '$' || b $$;
create function squares(upto integer, out n integer, out square bigint) returns setof record language plpgsql stable rows 10 as $body$
begin
    for n in 1 .. upto loop
        square := n::bigint * n;
        return next;
    end loop;
end
$body$;
create function variadic_max(variadic numbers integer[]) returns integer language sql immutable as 'select max(n) from unnest(numbers) n';
create function atomic_twice(n integer) returns integer language sql begin atomic select n * 2; end;
create procedure nothing(inout n integer) language plpgsql as $$ begin n := n; end $$;
create function keep_smaller(a integer, b integer) returns integer language sql immutable as 'select least(a, b)';
create aggregate smallest(integer) (sfunc = keep_smaller, stype = integer, initcond = '2147483647', combinefunc = keep_smaller, parallel = safe);
create function point3_text(p point3) returns text language sql immutable as $$ select p.x || '/' || p.y || '/' || p.z $$;
create function append_one(so_far integer[], n integer) returns integer[] language sql immutable as 'select so_far || n';
create function last_of(so_far integer[]) returns integer language sql immutable as 'select so_far[cardinality(so_far)]';
create aggregate last_in(order by integer) (sfunc = append_one, stype = integer[], initcond = '{}', finalfunc = last_of);
create operator === (leftarg = integer, rightarg = integer, function = int4eq, commutator = ===, restrict = eqsel, join = eqjoinsel, hashes, merges);
create cast (point3 as text) with function point3_text(point3) as assignment;
create text search dictionary plain_words (template = pg_catalog.simple, stopwords = 'english');
create text search configuration our_english (copy = pg_catalog.english);
alter text search configuration our_english alter mapping for asciiword with plain_words, english_stem;

-- Tables with every kind of column
create table kinds (
    id bigint generated always as identity (start 10 increment 5 maxvalue 100000 cycle) primary key,
    small smallint, whole integer default add(1, 2), big bigint, exact numeric(20, 6), any_number numeric, single real, twice double precision,
    cash money, truth boolean not null default true, letters char(5), words varchar(40), body text collate german, one "char", who name,
    raw bytea, at_day date, at_time time(3), at_time_zone time with time zone, at_moment timestamp, at_instant timestamptz, how_long interval day to second(2),
    where_to inet, network cidr, card macaddr, card8 macaddr8, bits bit(8), more_bits bit varying(20), identifier uuid default gen_random_uuid(),
    document json, binary_document jsonb, query jsonpath, markup xml, vector tsvector, question tsquery,
    place point, way line, part lseg, frame box, road path, field polygon, ring circle,
    days daterange, numbers int4range, many nummultirange, span spans, spans_all many_spans,
    feeling mood, somewhere point3, deep nested, above posint, short short_name default 'x', above_all posints,
    nothing_at_all text, matrix integer[][], feelings mood[], folded_name text collate folded, without_case citext, pairs hstore,
    class regclass, location pg_lsn, snapshot pg_snapshot, position tid, transaction xid8,
    doubled bigint generated always as (whole * 2) stored
);
alter table kinds alter column body set storage external, alter column words set statistics 300, alter column raw set compression pglz;
comment on table kinds is E'one column of each kind;\nsecond line with ''quotes'' and \\ backslash';
comment on column kinds.feeling is 'an enum';
insert into kinds (small, whole, big, exact, any_number, single, twice, cash, letters, words, body, one, who, raw, at_day, at_time, at_time_zone,
    at_moment, at_instant, how_long, where_to, network, card, card8, bits, more_bits, identifier, document, binary_document, query, markup, vector, question,
    place, way, part, frame, road, field, ring, days, numbers, many, span, spans_all, feeling, somewhere, deep, above, short, above_all, matrix, feelings,
    folded_name, without_case, pairs, class, location, snapshot, position, transaction)
select i, i * 3, i::bigint << 40, i / 7.0, case i % 4 when 0 then 'NaN' when 1 then 'Infinity' else (i / 3.0)::text end::numeric, i / 3.0, 'NaN', i::money,
    'c' || i, E'tab\tnew\nline\\n \\N ' || i, repeat(E'\\.\n', i), 'x', 'name' || i, decode(lpad(to_hex(i), 8, '0'), 'hex'), date '0044-03-15 BC' + i * 1000, '12:34:56.789', '04:05:06+13:45',
    'infinity', timestamptz '2026-03-29 01:30:00+00' + i * interval '1 hour', make_interval(days => i, secs => i / 4.0), ('2001:db8::' || to_hex(i))::inet, '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05',
    (i % 256)::bit(8), B'10110', md5(i::text)::uuid, '{"b": 1,  "a": [null, 1.50]}', jsonb_build_object('i', i, 'text', E'quote " and \\ and \u00e9'), '$.a[*] ? (@ > 1)',
    ('<a b="c">' || i || '</a>')::xml, to_tsvector('english', 'the quick brown foxes ' || i), to_tsquery('english', 'quick & !slow'),
    point(i, -i), '{1,2,3}', '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1),(2,0)]', '((0,0),(1,1),(2,0))', '<(1,1),5>',
    daterange(date '2026-01-01', date '2026-01-01' + i), int4range(i, i + 10), '{[1,2),[5,7)}', spans(timestamptz '2026-01-01 00:00:00+00', null), '{}',
    (enum_range(null::mood))[1 + i % 4], row(i, null, 0.5, 'a, "b" (c)')::point3, row(row(1, 2, 3, '')::point3, array['happy', 'sad']::mood[])::nested, i + 1, 'short' || i % 10, array[1, 2, i + 1]::posints,
    array[[i, null], [3, 4]], array['sad', null]::mood[], case when i % 2 = 0 then 'STRASSE' else 'straße' end, 'CaSe' || i, hstore('k' || i, nullif('v' || i, 'v3')),
    'everything.kinds', ('0/' || to_hex(i))::pg_lsn, '10:20:10,14', '(1,2)', i::text::xid8
from generate_series(1, 60) i;

create table "Odd Names"."Table ""with"" quotes; -- and more" ("a column" integer primary key, "select" text, "ünïcode ✓" text, "new
line" text);
insert into "Odd Names"."Table ""with"" quotes; -- and more" values (1, 'x', 'ä', null), (2, E'\\.', '', 'null');

create table no_key (a integer, b text);
insert into no_key select i % 5, 'same' from generate_series(1, 25) i;
create table no_columns ();
insert into no_columns default values;
insert into no_columns default values;
create unlogged table fleeting (id integer primary key, note text);
insert into fleeting values (1, 'not after a crash');
create table of_type of point3 (primary key (x, y), label with options default 'here');
insert into of_type values (1, 2, 3, default), (4, 5, 6, 'there');

-- Inheritance and partitions
create table parent (id integer primary key, name text not null, made timestamptz default '2026-01-01 00:00:00+00');
create table child (extra integer check (extra >= 0), constraint named_check check (name <> '') no inherit) inherits (parent);
create table grandchild (own text) inherits (child, no_key);
insert into parent values (1, 'parent');
insert into child (id, name, extra) values (1, 'the same key as its parent', 2);
insert into grandchild (id, name, extra, own, a, b) values (2, 'grandchild', 3, 'own', 9, 'nine');

create table measured (day date not null, sensor text not null, value numeric, primary key (day, sensor)) partition by range (day);
create table measured_2025 partition of measured for values from ('2025-01-01') to ('2026-01-01') partition by list (sensor);
create table measured_2025_a partition of measured_2025 for values in ('a', 'b');
create table measured_2025_rest partition of measured_2025 default;
create table measured_2026 partition of measured for values from ('2026-01-01') to (maxvalue) with (fillfactor = 70);
create table attached_later (value numeric, sensor text not null, day date not null);
alter table measured attach partition attached_later for values from (minvalue) to ('2025-01-01');
insert into measured select date '2024-06-01' + i * 7, chr(97 + i % 4), i / 10.0 from generate_series(0, 140) i;
create table hashed (id bigint, what text) partition by hash (id);
create table hashed_0 partition of hashed for values with (modulus 3, remainder 0);
create table hashed_1 partition of hashed for values with (modulus 3, remainder 1);
create table hashed_2 partition of hashed for values with (modulus 3, remainder 2);
insert into hashed select i, md5(i::text) from generate_series(1, 300) i;
create index on measured (sensor, day desc nulls last) include (value);

-- Keys and constraints
create sequence ticket_numbers as integer start 1000 increment 10 minvalue 1000 maxvalue 9990 cache 5 cycle;
create sequence counting_down increment -1 owned by none;
select setval('ticket_numbers', 1230), nextval('counting_down') \g /dev/null
create table rooms (number integer primary key, name text unique nulls not distinct, floor integer, unique (floor, number) include (name));
create table bookings (
    id integer default nextval('ticket_numbers') primary key,
    room integer not null references rooms on update cascade on delete restrict,
    during spans not null, guests integer, note text,
    constraint never_twice exclude using gist (room with =, during with &&) where (guests > 0),
    constraint guests_fit check (guests between 0 and 12),
    constraint unsure check (note is null or length(note) < 500) not valid
);
create table payments (
    booking integer, part integer, paid numeric(12, 2), refund_of integer, refund_part integer,
    primary key (booking, part),
    constraint of_booking foreign key (booking) references bookings on delete cascade deferrable initially deferred,
    constraint refund foreign key (refund_of, refund_part) references payments (booking, part) match full on delete set null (refund_part) not valid
);
alter table payments drop constraint refund;
alter table payments add constraint refund foreign key (refund_of, refund_part) references payments match full;
alter sequence counting_down owned by payments.part;
insert into rooms select i, 'room ' || i, i / 10 from generate_series(1, 30) i;
insert into bookings (room, during, guests, note)
select 1 + i % 30, spans(timestamptz '2026-01-01 00:00:00+00' + i * interval '1 day', timestamptz '2026-01-01 00:00:00+00' + (i + 1) * interval '1 day'), i % 12, case when i % 3 = 0 then 'note ' || i end
from generate_series(1, 200) i;
insert into payments select id, p, 10.5 * p, null, null from bookings, generate_series(1, 2) p;
insert into payments select booking, 3, -1, booking, 1 from payments where part = 1 and booking % 7 = 0;

-- Indexes
create index on bookings using brin (id) with (pages_per_range = 8);
create index on bookings using hash (room);
create index on bookings using gin (note gin_trgm_ops);
create index on bookings using spgist (during);
create unique index expression_and_where on bookings (lower(note), (guests + room)) where note is not null and guests > 2;
create index in_german on kinds (body collate german text_pattern_ops) with (fillfactor = 60);
alter table rooms cluster on rooms_pkey;
alter table rooms replica identity using index rooms_pkey;
create statistics room_floor (dependencies, ndistinct, mcv) on floor, number from rooms;
create statistics room_names on (lower(name)), floor from rooms;

-- Views
create view happy_kinds with (security_barrier) as select id, feeling, doubled from kinds where feeling = 'happy' with local check option;
create view happier as select * from happy_kinds where doubled > 10 with cascaded check option;
create recursive view countdown (n) as values (5) union all select n - 1 from countdown where n > 1;
create materialized view by_floor as select floor, count(*) as rooms, string_agg(name, ', ' order by number) as names from rooms group by floor;
create unique index on by_floor (floor);
create materialized view not_filled as select 1 as one with no data;
alter view happier alter column doubled set default 12;
comment on view happier is 'a view on a view';

-- Triggers, rules, policies
create table log (at timestamptz default now(), what text);
create function note_change() returns trigger language plpgsql security definer set search_path = everything, pg_temp as $$
begin
    insert into log (what) values (tg_op || ' ' || tg_name);
    return coalesce(new, old);
end
$$;
create trigger each_row before insert or update of note on bookings for each row when (new.note is not null) execute function note_change('an argument');
create trigger each_statement after update on bookings referencing old table as before new table as after for each statement execute function note_change();
create constraint trigger at_the_end after insert or delete on payments deferrable initially deferred for each row execute function note_change();
create trigger instead instead of insert on happier for each row execute function note_change();
create trigger switched_off after delete on rooms for each statement execute function note_change();
alter table rooms disable trigger switched_off;
alter table bookings enable always trigger each_row;
create rule keep_quiet as on delete to log do instead nothing;
create rule tell as on update to rooms where old.floor <> new.floor do also insert into log (what) values ('moved');
alter table payments enable row level security;
create policy see_all on payments for select using (true);
create policy small_ones on payments as restrictive for update to public using (paid < 1000) with check (paid < 1000);
create policy insert_any on payments for insert with check (paid is not null);
create policy delete_any on payments for delete using (true);

-- Large objects, rights, publications, settings
select lo_create(424242), lo_put(424242, 0, '\xdeadbeef00112233') \g /dev/null
comment on large object 424242 is 'kept outside of tables';
grant usage on schema everything to public;
grant select (id, feeling), update (feeling) on kinds to public;
grant select on happier to public;
grant select on large object 424242 to public;
grant usage on sequence ticket_numbers to public;
revoke execute on function add(integer, integer) from public;
alter default privileges in schema everything grant select on tables to public;
alter default privileges revoke execute on functions from public;
create publication some_tables for table rooms (number, name) where (number > 3), table bookings with (publish = 'insert, update');
alter table kinds set (autovacuum_enabled = false, toast.autovacuum_enabled = false, parallel_workers = 2);
alter function add(text, text) set work_mem = '8MB';
