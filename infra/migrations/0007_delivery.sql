-- What the Parliament last fetched, as the publication endpoint saw it; and what the log has announced, for whoever reads it back.

create table release.delivery (
  key text primary key check (length(key) <= 64),       -- id of the Parliament's key whose token came with the request
  number bigint not null,
  sha256 bytea not null check (length(sha256) = 32),
  at timestamptz not null default clock_timestamp()
);
alter table release.delivery owner to scrutin_owner;
grant select on release.delivery to scrutin_watch;

create function release.record_delivery(key text, number bigint, sha256 bytea) returns void language sql volatile security definer
  set search_path = pg_catalog, pg_temp as $$
  insert into release.delivery (key, number, sha256) values ($1, $2, $3)
    on conflict (key) do update set number = excluded.number, sha256 = excluded.sha256, at = clock_timestamp()
$$;
alter function release.record_delivery owner to scrutin_owner;
revoke all on function release.record_delivery from public;
grant execute on function release.record_delivery to scrutin_release;

-- Statements of releases hold no figures: a number, a prefix of the log, and hashes.
create view ledger.announced as
  select e.index, e.received, s.clear from ledger.entry e join ledger.statement s on s.index = e.index where e.type = 'release';
alter view ledger.announced owner to scrutin_owner;
grant select on ledger.announced to scrutin_watch;
