-- What became true of a checkpoint after its seal, once for each vault that holds a copy: it is appended there too.

create table fact (
    id text not null,
    vault text not null references vault (id),
    checkpoint text not null references checkpoint (id),
    at bigint not null,
    made_by text not null,
    -- drill or deleted
    kind text not null,
    -- the drill, where it is one
    drill text references drill (id),
    -- the snapshot of facts in which it stands; null while it waits to be written
    snapshot text,
    primary key (id, vault)
);
create index fact_waiting on fact (vault, id) where snapshot is null;

insert into fact (id, vault, checkpoint, at, made_by, kind, drill)
select 'fct_' || substr(d.id, 5), y.vault, d.checkpoint, d.started_at + d.duration_ms * 1000, r.created_by, 'drill', d.id
from drill d join run r on r.id = d.run join checkpoint_copy y on y.checkpoint = d.checkpoint;

insert into fact (id, vault, checkpoint, at, made_by, kind)
select 'fct_' || substr(c.id, 5), y.vault, c.id, c.deleted_at, c.deleted_by, 'deleted'
from checkpoint c join checkpoint_copy y on y.checkpoint = c.id
where c.deleted_at is not null;
