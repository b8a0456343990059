-- Of an imported checkpoint: the id that it had where it was made.
alter table checkpoint add column origin text;
create index checkpoint_origin on checkpoint (origin) where origin is not null;
