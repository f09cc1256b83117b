-- What the two counts keep: where they are in the log, what they derived up to there (sealed), and what they agree on.

create schema tabulate;
create schema recount;
create schema release;

-- Position and derived state change in one transaction: a crash between them is not possible. One part per state and one for
-- the Union; every part is of the same position.
create table tabulate.position (one boolean primary key default true check (one), size bigint not null);
create table tabulate.part (name text primary key, sealed bytea not null);
create table recount.position (one boolean primary key default true check (one), size bigint not null);
create table recount.part (name text primary key, sealed bytea not null);

-- A release that tabulate has written, sealed with the release's key: number, and the prefix of the log that it counts.
-- Before the lift number 1 is written again and again as the count goes on.
create table tabulate.candidate (
  number bigint not null,
  size bigint not null,
  sealed bytea not null,
  written_at timestamptz not null default clock_timestamp(),
  primary key (number, size)
);

-- recount's answer to a candidate. `sealed` holds its signature over the release when it found the same bytes, or where
-- they differ; sealed, because a bare signature lets small figures be guessed and checked.
create table recount.answer (
  number bigint not null,
  size bigint not null,
  sealed bytea not null,
  answered_at timestamptz not null default clock_timestamp(),
  primary key (number, size)
);

-- The vault's own statements (lift, release): tabulate proposes the payload, recount cosigns after its own look.
create table tabulate.proposal (
  sha256 bytea primary key check (length(sha256) = 32),
  type text not null check (type in ('lift', 'release')),
  payload bytea not null,
  signature bytea not null,
  proposed_at timestamptz not null default clock_timestamp()
);
create table recount.cosignature (
  proposal bytea primary key references tabulate.proposal (sha256),
  signature bytea not null
);

-- The key of a release in two shares, one from each count; both together open it. Given only after the lift: the wall looks.
create table release.key_share (
  number bigint not null,
  size bigint not null,
  given_by text not null check (given_by in ('tabulate', 'recount')),
  share bytea not null check (length(share) = 32),
  given_at timestamptz not null default clock_timestamp(),
  primary key (number, given_by)
);

create function release.wall() returns trigger language plpgsql as $$
begin
  if not exists (select from ledger.lift) then
    raise exception 'the gate is closed: no lift in the log' using errcode = 'SC002';
  end if;
  if new.given_by <> replace(session_user, 'scrutin_', '') and not exists (select from pg_roles where rolname = session_user and rolsuper) then
    raise exception 'a share is given by the count that holds it' using errcode = 'SC004';
  end if;
  if clock_timestamp() < (select max(greatest(p.closes_at, (
      select max(f.until) from ledger.gate_fact f
      where f.kind = 'extended' and f.state = p.state and (f.constituency is null or f.constituency = p.constituency)
        and f.index < (select l.index from ledger.lift l)))) from ledger.poll p) then
    raise exception 'the gate is closed: polls close later' using errcode = 'SC002';
  end if;
  return new;
end
$$;
create trigger wall before insert on release.key_share for each row execute function release.wall();
alter table release.key_share enable always trigger wall;
create trigger only_grows before update or delete or truncate on release.key_share for each statement execute function ledger.refuse_change();
alter table release.key_share enable always trigger only_grows;
create trigger only_grows before update or delete or truncate on tabulate.candidate for each statement execute function ledger.refuse_change();
alter table tabulate.candidate enable always trigger only_grows;
create trigger only_grows before update or delete or truncate on recount.answer for each statement execute function ledger.refuse_change();
alter table recount.answer enable always trigger only_grows;

grant usage on schema tabulate to scrutin_tabulate, scrutin_recount, scrutin_release, scrutin_watch;
grant usage on schema recount to scrutin_tabulate, scrutin_recount, scrutin_release, scrutin_watch;
grant usage on schema release to scrutin_tabulate, scrutin_recount, scrutin_release, scrutin_watch;
grant select, insert, update on tabulate.position, tabulate.part to scrutin_tabulate;
grant select, insert, update on recount.position, recount.part to scrutin_recount;
grant select, insert on tabulate.candidate, tabulate.proposal to scrutin_tabulate;
grant select on tabulate.candidate, tabulate.proposal, tabulate.position to scrutin_recount;
grant select, insert on recount.answer, recount.cosignature to scrutin_recount;
grant select on recount.answer, recount.cosignature, recount.position to scrutin_tabulate;
grant select, insert on release.key_share to scrutin_tabulate, scrutin_recount;
grant select on tabulate.candidate, recount.answer, release.key_share to scrutin_release;
grant select on tabulate.position, recount.position, release.key_share to scrutin_watch;

alter schema tabulate owner to scrutin_owner;
alter schema recount owner to scrutin_owner;
alter schema release owner to scrutin_owner;
do $$
declare
  r record;
begin
  for r in select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname in ('tabulate', 'recount', 'release') and c.relkind = 'r' loop
    execute format('alter table %I.%I owner to scrutin_owner', r.nspname, r.relname);
  end loop;
end
$$;
alter function release.wall() owner to scrutin_owner;
revoke all on function release.wall() from public;
grant execute on function release.wall(), ledger.refuse_change() to scrutin_tabulate, scrutin_recount;
