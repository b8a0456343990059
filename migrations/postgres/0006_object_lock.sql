-- Until when a file of a vault in a bucket with object lock cannot be removed, so that it is not asked for each time.
create table file_lock (
    vault text not null references vault (id),
    file text not null,
    locked_until bigint not null,
    primary key (vault, file)
);
