-- The public log: witnesses' cosignatures, what opens after the lift, and the origins under which the log goes on.

-- A witness' line under the checkpoint of a size (C2SP tlog-cosignature), as it stands in the note, with its newline.
create table ledger.cosignature (
  size bigint not null references ledger.checkpoint (size),
  witness text not null,
  line text not null,
  cosigned_at timestamptz not null default clock_timestamp(),
  primary key (size, witness)
);

-- Two trustees' decision that the log goes on under another origin and key: from the checkpoint that holds its entry on.
create table ledger.origin (
  index bigint primary key references ledger.entry (index),
  origin text not null unique,
  statement bytea not null                              -- the JWS: whoever reads it verifies it
);

-- The key of a minute's statements in two shares, like a release's: both together open what `ledger.statement` holds sealed.
create table release.data_key_share (
  id bytea not null references ledger.data_key (id),
  given_by text not null check (given_by in ('tabulate', 'recount')),
  share bytea not null check (length(share) = 32),
  given_at timestamptz not null default clock_timestamp(),
  primary key (id, given_by)
);
create trigger wall before insert on release.data_key_share for each row execute function release.wall();
alter table release.data_key_share enable always trigger wall;

do $$
declare
  name text;
begin
  foreach name in array array['ledger.cosignature', 'ledger.origin', 'release.data_key_share'] loop
    execute format('create trigger only_grows before update or delete or truncate on %s for each statement execute function ledger.refuse_change()', name);
    execute format('alter table %s enable always trigger only_grows', name);
    execute format('alter table %s owner to scrutin_owner', name);
  end loop;
end
$$;

create index entry_type on ledger.entry (type, index) where type in ('key', 'decision', 'lift', 'release');

grant select, insert on ledger.cosignature, ledger.origin to scrutin_ledger;
grant select on ledger.cosignature to scrutin_release, scrutin_watch;
grant select on ledger.origin to scrutin_tabulate, scrutin_recount, scrutin_release, scrutin_watch;
grant select on ledger.statement, ledger.data_key to scrutin_release;
grant select, insert on release.data_key_share to scrutin_tabulate, scrutin_recount;
grant select on release.data_key_share to scrutin_release;
