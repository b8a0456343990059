-- The demo's shop database, at full scale about 190 MB. Run as the role that owns it, in one transaction.
-- :scale is a percentage of the rows.
\set ON_ERROR_STOP on
\set QUIET on
set client_min_messages = warning;
select setseed(0.42) \g /dev/null

create type order_status as enum ('new', 'paid', 'packed', 'sent', 'returned');
create domain email as text check (value ~ '^[^@\s]+@[^@\s]+$');
create schema reporting;

create table customers (
    id bigint generated always as identity,
    email email not null,
    name text not null,
    address jsonb not null,
    interests text[] not null default '{}',
    credit numeric(12, 2) not null default 0,
    joined_at timestamptz not null,
    updated_at timestamptz
);
create table products (
    id serial,
    name text not null,
    description text not null,
    price numeric(10, 2) not null check (price >= 0),
    stock integer not null,
    attributes jsonb not null,
    tags text[] not null,
    picture bytea not null
);
create sequence order_numbers start 100000 increment 7;
create table orders (
    id bigint generated always as identity,
    number text not null default 'B' || nextval('order_numbers'),
    customer_id bigint not null,
    status order_status not null default 'new',
    placed_at timestamptz not null default now(),
    updated_at timestamptz,
    note text
);
create table order_lines (
    order_id bigint not null,
    line smallint not null,
    product_id integer not null,
    quantity integer not null check (quantity > 0),
    price numeric(10, 2) not null,
    amount numeric(14, 2) generated always as (quantity * price) stored
);
create table events (
    id bigint generated always as identity,
    at timestamptz not null,
    kind text not null,
    order_id bigint,
    detail jsonb
) partition by range (at);
create table events_earlier partition of events for values from (minvalue) to ('2026-01-01');
create table events_2026 partition of events for values from ('2026-01-01') to ('2027-01-01');
create table events_later partition of events default;
create table invoices (
    number text,
    order_id bigint not null,
    document oid not null
);
create table reporting.days (day date, orders integer not null, revenue numeric(14, 2) not null);

\set customers (60000 * :scale / 100)
\set products (500 + 4500 * :scale / 100)
\set orders (250000 * :scale / 100)
\set events (420000 * :scale / 100)

insert into customers (email, name, address, interests, credit, joined_at)
select 'customer' || i || '@example.' || (array ['org', 'net', 'com'])[1 + i % 3],
    initcap(substr(md5('given' || i), 1, 6)) || ' ' || initcap(substr(md5('family' || i), 1, 9)),
    jsonb_build_object('street', i % 250 || ' ' || substr(md5('street' || i % 9000), 1, 12) || ' Road', 'city',
        substr(md5('city' || i % 400), 1, 8), 'zip', lpad((i * 7919 % 100000)::text, 5, '0'), 'notes', md5(i::text)),
    array [substr(md5((i % 40)::text), 1, 5), substr(md5((i % 90)::text), 1, 5)],
    round((random() * 500)::numeric, 2), '2026-11-01'::timestamptz - random() * interval '900 days'
from generate_series(1, :customers) i;

insert into products (name, description, price, stock, attributes, tags, picture)
select 'Product ' || i, repeat('Sturdy, honest and made to last. ' || md5(i::text) || ' ', 6),
    round((1 + random() * 300)::numeric, 2), (random() * 1000)::integer,
    jsonb_build_object('colour', (array ['red', 'green', 'blue', 'kelp'])[1 + i % 4], 'weight', i % 5000, 'sizes',
        jsonb_build_array(i % 7, i % 11, i % 13), 'maker', jsonb_build_object('name', md5((i % 300)::text), 'since', 1900 + i % 120)),
    array ['tag' || i % 50, 'tag' || i % 77],
    (select string_agg(sha256((i || ':' || k)::bytea), '') from generate_series(1, 40) k)
from generate_series(1, :products) i;

insert into orders (customer_id, status, placed_at, note)
select 1 + (random() * (:customers - 1))::bigint, (enum_range(null::order_status))[1 + (random() * 4)::integer],
    '2026-11-20'::timestamptz - random() * interval '700 days',
    case when i % 5 = 0 then 'Please leave it with ' || md5(i::text) end
from generate_series(1, :orders) i;

insert into order_lines (order_id, line, product_id, quantity, price)
select o, l, 1 + (random() * (:products - 1))::integer, 1 + (random() * 5)::integer, round((1 + random() * 300)::numeric, 2)
from generate_series(1, :orders) o, generate_series(1, 1 + o % 4) l;

insert into events (at, kind, order_id, detail)
select '2026-11-20'::timestamptz - random() * interval '700 days', (array ['seen', 'placed', 'paid', 'sent', 'rated'])[1 + i % 5],
    1 + (random() * (:orders - 1))::bigint,
    jsonb_build_object('agent', substr(md5((i % 2000)::text), 1, 16), 'path', '/products/' || i % 5000, 'ms', i % 900, 'trace', md5(i::text))
from generate_series(1, :events) i;

insert into invoices (number, order_id, document)
select 'R' || i, i, lo_from_bytea(0, (select string_agg(sha256((i || '/' || k)::bytea), '') from generate_series(1, 4000) k))
from generate_series(1, 12) i;

insert into reporting.days
select placed_at::date, count(distinct o.id), sum(amount) from orders o join order_lines on order_id = o.id group by 1;

alter table customers add primary key (id), add unique (email);
alter table products add primary key (id);
alter table orders add primary key (id), add unique (number), add foreign key (customer_id) references customers;
alter table order_lines add primary key (order_id, line), add foreign key (order_id) references orders on delete cascade,
    add foreign key (product_id) references products;
alter table events add primary key (id, at), add foreign key (order_id) references orders on delete cascade;
alter table invoices add primary key (number), add foreign key (order_id) references orders;
alter table reporting.days add primary key (day);
create index on orders (customer_id);
create index on orders (placed_at desc) where status <> 'returned';
create index on order_lines (product_id);
create index on events (order_id);
create index on products using gin (tags);
create index on customers (lower(name));

create view reporting.best_customers as
select c.id, c.name, count(distinct o.id) as orders, sum(l.amount) as revenue
from customers c join orders o on o.customer_id = c.id join order_lines l on l.order_id = o.id
group by c.id, c.name order by revenue desc limit 100;

create function touch() returns trigger language plpgsql as $$
begin
    new.updated_at := clock_timestamp();
    return new;
end $$;
create trigger touch before update on orders for each row execute function touch();
create trigger touch before update on customers for each row execute function touch();

create function note_status() returns trigger language plpgsql as $$
begin
    insert into events (at, kind, order_id, detail)
    values (clock_timestamp(), 'status', new.id, jsonb_build_object('from', old.status, 'to', new.status));
    return null;
end $$;
create trigger note_status after update of status on orders for each row when (old.status <> new.status)
execute function note_status();

comment on table orders is 'One row for each order that was ever placed';
grant usage on schema reporting to shop_reader;
grant select on all tables in schema reporting to shop_reader;
