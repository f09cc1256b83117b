-- The third wall, complete: extensions can be voided, and functions alone write what opens the gate and the keys. Each looks for
-- itself; the triggers behind them refuse the same to whoever gets past the functions, a superuser too.

-- An extension is taken away by the entry of the decision that voids it.
alter table ledger.gate_fact add column voids bigint references ledger.gate_fact (index);
alter table ledger.gate_fact drop constraint gate_fact_kind_check;
alter table ledger.gate_fact add constraint gate_fact_kind_check
  check (kind in ('closed', 'extended', 'override', 'hold', 'resume', 'void'));
alter table ledger.gate_fact add constraint gate_fact_voids_check check ((kind = 'void') = (voids is not null));
-- Once: an extension that is taken away is no more.
create unique index gate_fact_voids on ledger.gate_fact (voids) where voids is not null;

-- When a constituency's polls close, by what the log said before entry `before` (null: by all of it): as scheduled, or as extended and
-- not voided; never before the schedule. Null for a constituency that the schedule does not know.
create function ledger.close_in_force(about text, before bigint) returns timestamptz language sql stable
  set search_path = pg_catalog, pg_temp as $$
  select greatest(p.closes_at, (
    select max(f.until) from ledger.gate_fact f
    where f.kind = 'extended' and f.state = p.state and (f.constituency is null or f.constituency = p.constituency)
      and (before is null or f.index < before)
      and not exists (select from ledger.gate_fact v where v.voids = f.index and (before is null or v.index < before))))
  from ledger.poll p where p.constituency = about
$$;

-- Why the gate may not open. An extension that was voided still took the closures before it back: the state closes anew.
create or replace function ledger.gate_reasons() returns setof text language sql stable
  set search_path = pg_catalog, pg_temp as $$
  select 'no schedule' where not exists (select from ledger.poll)
  union all
  select 'polls of ' || p.constituency || ' close later' from ledger.poll p
    where clock_timestamp() < ledger.close_in_force(p.constituency, null)
  union all
  select 'no closure of ' || p.constituency from ledger.poll p
    where not exists (
      select from ledger.gate_fact c
      where c.kind = 'closed' and c.state = p.state and (c.constituency is null or c.constituency = p.constituency)
        and not exists (
          select from ledger.gate_fact e
          where e.kind = 'extended' and e.state = p.state and (e.constituency is null or e.constituency = p.constituency)
            and e.index > c.index))
    and not exists (select from ledger.gate_fact o where o.kind = 'override' and o.state = p.state)
  union all
  select 'the Union is on hold' where (
    select f.kind from ledger.gate_fact f where f.state = 'EU' and f.kind in ('hold', 'resume') order by f.index desc limit 1) = 'hold'
$$;

-- Why entry `fact.index` cannot say this, or not yet. No row: it can.
create function ledger.fact_reasons(fact ledger.gate_fact) returns setof text language sql stable
  set search_path = pg_catalog, pg_temp as $$
  select 'entry ' || fact.index || ' is no statement that says so' where not exists (
    select from ledger.entry e where e.index = fact.index
      and (e.type, e.state) = (case when fact.kind in ('closed', 'extended') then ('polls'::text, fact.state) else ('decision'::text, 'EU'::text) end))
  union all
  select 'there are no such polls' where fact.kind in ('closed', 'extended') and not exists (
    select from ledger.poll p where p.state = fact.state and (fact.constituency is null or fact.constituency = p.constituency))
  union all
  select 'polls of ' || p.constituency || ' close later' from ledger.poll p
    where fact.kind = 'closed' and p.state = fact.state and (fact.constituency is null or fact.constituency = p.constituency)
      and clock_timestamp() < ledger.close_in_force(p.constituency, null)
  union all
  -- As much as the rules give at a time (MAX_EXTENSION_MS).
  select 'polls of ' || p.constituency || ' are extended too far' from ledger.poll p
    where fact.kind = 'extended' and p.state = fact.state and (fact.constituency is null or fact.constituency = p.constituency)
      and fact.until > ledger.close_in_force(p.constituency, null) + interval '4 hours'
  union all
  select 'the gate has been opened' where fact.kind in ('extended', 'void') and exists (select from ledger.lift)
  union all
  select 'entry ' || fact.voids || ' is no extension of ' || fact.state where fact.kind = 'void' and not exists (
    select from ledger.gate_fact e where e.index = fact.voids and e.kind = 'extended' and e.state = fact.state and e.index < fact.index)
$$;

create function ledger.look_at_fact() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  reason text;
begin
  select string_agg(r, '; ') into reason from ledger.fact_reasons(new) as r;
  if reason is not null then
    raise exception 'this cannot be said of the gate: %', reason using errcode = 'SC005';
  end if;
  return new;
end
$$;
create trigger look before insert on ledger.gate_fact for each row execute function ledger.look_at_fact();
alter table ledger.gate_fact enable always trigger look;

-- The schedule comes once, with the definition, before the log has an entry.
create function ledger.refuse_second_schedule() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if exists (select from ledger.poll) or exists (select from ledger.entry) then
    raise exception 'the schedule is the definition''s: % is refused', tg_op using errcode = 'SC001';
  end if;
  return null;
end
$$;
create trigger only_once before insert on ledger.poll for each statement execute function ledger.refuse_second_schedule();
alter table ledger.poll enable always trigger only_once;

create or replace function ledger.wall() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  reason text;
begin
  select string_agg(r, '; ') into reason from ledger.gate_reasons() as r;
  if reason is not null then
    raise exception 'the gate is closed: %', reason using errcode = 'SC002';
  end if;
  if not exists (select from ledger.entry e where e.index = new.index and e.type = 'lift') then
    raise exception 'the gate is closed: entry % is no lift', new.index using errcode = 'SC002';
  end if;
  return new;
end
$$;

-- Why no key may be given. No row: one may.
create function release.gate_reasons() returns setof text language sql stable
  set search_path = pg_catalog, pg_temp as $$
  select 'no lift in the log' where not exists (select from ledger.lift)
  union all
  select 'no schedule' where not exists (select from ledger.poll)
  union all
  -- As it stood at the lift: what is said later cannot shut the gate again, nor open it.
  select 'polls of ' || p.constituency || ' close later' from ledger.poll p
    where clock_timestamp() < ledger.close_in_force(p.constituency, (select l.index from ledger.lift l))
$$;

create or replace function release.wall() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  reason text;
begin
  select string_agg(r, '; ') into reason from release.gate_reasons() as r;
  if reason is not null then
    raise exception 'the gate is closed: %', reason using errcode = 'SC002';
  end if;
  if new.given_by <> replace(session_user, 'scrutin_', '') and not exists (select from pg_roles where rolname = session_user and rolsuper) then
    raise exception 'a share is given by the count that holds it' using errcode = 'SC004';
  end if;
  return new;
end
$$;

-- From here on the functions that write. They run as the owner, who cannot log in; who called is `session_user`, which `set role` does not change.

create function ledger.record_gate_fact(index bigint, kind text, state text, constituency text, until timestamptz, voids bigint)
  returns void language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  fact ledger.gate_fact;
  reason text;
begin
  fact.index := record_gate_fact.index;
  fact.kind := record_gate_fact.kind;
  fact.state := record_gate_fact.state;
  fact.constituency := record_gate_fact.constituency;
  fact.until := record_gate_fact.until;
  fact.voids := record_gate_fact.voids;
  select string_agg(r, '; ') into reason from ledger.fact_reasons(fact) as r;
  if reason is not null then
    raise exception 'this cannot be said of the gate: %', reason using errcode = 'SC005';
  end if;
  insert into ledger.gate_fact (index, kind, state, constituency, until, voids)
    values (fact.index, fact.kind, fact.state, fact.constituency, fact.until, fact.voids);
end
$$;

create function ledger.record_lift(index bigint) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  reason text;
begin
  select string_agg(r, '; ') into reason from ledger.gate_reasons() as r;
  if reason is not null then
    raise exception 'the gate is closed: %', reason using errcode = 'SC002';
  end if;
  if not exists (select from ledger.entry e where e.index = record_lift.index and e.type = 'lift') then
    raise exception 'the gate is closed: entry % is no lift', record_lift.index using errcode = 'SC002';
  end if;
  insert into ledger.lift (index) values (record_lift.index);
end
$$;

-- The count that calls: nobody gives another's share.
create function release.caller() returns text language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  if session_user not in ('scrutin_tabulate', 'scrutin_recount') then
    raise exception 'a share is given by the count that holds it' using errcode = 'SC004';
  end if;
  return replace(session_user, 'scrutin_', '');
end
$$;

create function release.look() returns void language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  reason text;
begin
  select string_agg(r, '; ') into reason from release.gate_reasons() as r;
  if reason is not null then
    raise exception 'the gate is closed: %', reason using errcode = 'SC002';
  end if;
end
$$;

-- Once given, a share stands.
create function release.give_key_share(number bigint, size bigint, share bytea) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform release.look();
  insert into release.key_share (number, size, given_by, share)
    values (give_key_share.number, give_key_share.size, release.caller(), give_key_share.share)
    on conflict do nothing;
end
$$;

-- Ids and shares run parallel.
create function release.give_data_key_shares(ids bytea[], shares bytea[]) returns void
  language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform release.look();
  insert into release.data_key_share (id, given_by, share)
    select i, release.caller(), s from unnest(ids, shares) as given (i, s)
    on conflict do nothing;
end
$$;

revoke insert on ledger.lift, ledger.gate_fact from scrutin_ledger;
revoke insert on release.key_share, release.data_key_share from scrutin_tabulate, scrutin_recount;

do $$
declare
  name regprocedure;
begin
  for name in select p.oid::regprocedure from pg_proc p where p.pronamespace in ('ledger'::regnamespace, 'release'::regnamespace)
  loop
    execute format('alter function %s owner to scrutin_owner', name);
    execute format('revoke all on function %s from public', name);
  end loop;
end
$$;
-- What `gate_reasons` asks, it asks as whoever asked it.
grant execute on function ledger.close_in_force to scrutin_ledger, scrutin_tabulate, scrutin_recount, scrutin_watch;
grant execute on function ledger.record_gate_fact, ledger.record_lift to scrutin_ledger;
grant execute on function release.give_key_share, release.give_data_key_shares to scrutin_tabulate, scrutin_recount;
