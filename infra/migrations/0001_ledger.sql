-- The record. Tables only grow; who may do what is said here, and the owner cannot log in.

do $$
declare
  role_name text;
begin
  foreach role_name in array array['scrutin_ledger', 'scrutin_tabulate', 'scrutin_recount', 'scrutin_release', 'scrutin_watch'] loop
    if not exists (select from pg_roles where rolname = role_name) then
      execute format('create role %I login', role_name);
    end if;
  end loop;
  if not exists (select from pg_roles where rolname = 'scrutin_owner') then
    create role scrutin_owner nologin;
  end if;
end
$$;

revoke all on schema public from public;

create schema ledger;

-- The one definition that this log is about: entry 0. The schedule stands beside it so that Postgres can look for itself.
create table ledger.definition (
  one boolean primary key default true check (one),
  sha256 bytea not null check (length(sha256) = 32),
  origin text not null,
  document bytea not null,
  signatures jsonb not null
);

create table ledger.poll (
  state text not null,
  constituency text primary key,
  closes_at timestamptz not null
);

-- Data keys, wrapped to the vault and to the recovery key: useless to whoever holds this table alone.
create table ledger.data_key (
  id bytea primary key check (length(id) = 16),
  wrapped bytea not null
);

create table ledger.entry (
  index bigint primary key,
  body bytea not null,                                  -- canonical JSON: what the log shows
  leaf bytea not null check (length(leaf) = 32),        -- RFC 6962 leaf hash of body
  received timestamptz not null,
  type text not null,
  state text not null,
  key text,
  sequence bigint,
  payload bytea check (length(payload) = 32),           -- SHA-256 of the payload: the identity of a retry
  takes_sequence boolean not null default true          -- false: signed for another definition, it uses no number of this one up
);
create unique index entry_identity on ledger.entry (key, sequence, payload);

create table ledger.statement (
  index bigint primary key references ledger.entry (index),
  sha256 bytea not null unique check (length(sha256) = 32),
  data_key bytea not null references ledger.data_key (id),
  sealed bytea not null,                                -- the JWS as received
  judgement bytea not null,                             -- salt, verdict, findings; sealed
  clear bytea                                           -- the JWS, for types that hold no figures
);

create table ledger.checkpoint (
  size bigint primary key,
  root bytea not null check (length(root) = 32),
  note text not null,                                   -- the signed note (C2SP tlog-checkpoint)
  signed_at timestamptz not null
);

-- The head: compared and swapped before a checkpoint's signature leaves the signer.
create table ledger.head (
  one boolean primary key default true check (one),
  size bigint not null,
  root bytea not null
);

-- What accepted statements without figures say that the gate depends on.
create table ledger.gate_fact (
  index bigint primary key references ledger.entry (index),
  kind text not null check (kind in ('closed', 'extended', 'override', 'hold', 'resume')),
  state text not null,
  constituency text,                                    -- null: the whole state
  until timestamptz check ((kind = 'extended') = (until is not null))
);

create table ledger.lift (
  one boolean primary key default true check (one),
  index bigint not null references ledger.entry (index),
  at timestamptz not null default clock_timestamp()
);

create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception 'ledger.% only grows: % is refused', tg_table_name, tg_op using errcode = 'SC001';
end
$$;

do $$
declare
  table_name text;
begin
  foreach table_name in array array['definition', 'poll', 'data_key', 'entry', 'statement', 'checkpoint', 'gate_fact', 'lift'] loop
    execute format('create trigger only_grows before update or delete or truncate on ledger.%I for each statement execute function ledger.refuse_change()', table_name);
    execute format('alter table ledger.%I enable always trigger only_grows', table_name);
  end loop;
end
$$;

-- The head may only move forward, and never disappears.
create function ledger.head_forward() returns trigger language plpgsql as $$
begin
  if tg_op <> 'UPDATE' or new.size <= old.size then
    raise exception 'the head of the log only moves forward: % is refused', tg_op using errcode = 'SC001';
  end if;
  return new;
end
$$;
create trigger only_forward before update or delete on ledger.head for each row execute function ledger.head_forward();
create trigger never_empty before truncate on ledger.head for each statement execute function ledger.refuse_change();
alter table ledger.head enable always trigger only_forward;
alter table ledger.head enable always trigger never_empty;

-- The third wall: why the gate may not open, by this database's own look at facts and clock. No row: it may.
create function ledger.gate_reasons() returns setof text language sql stable as $$
  select 'no schedule' where not exists (select from ledger.poll)
  union all
  select 'polls of ' || p.constituency || ' close later' from ledger.poll p
    where clock_timestamp() < greatest(p.closes_at, (
      select max(f.until) from ledger.gate_fact f
      where f.kind = 'extended' and f.state = p.state and (f.constituency is null or f.constituency = p.constituency)))
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

create function ledger.wall() returns trigger language plpgsql as $$
declare
  reason text;
begin
  select string_agg(r, '; ') into reason from ledger.gate_reasons() as r;
  if reason is not null then
    raise exception 'the gate is closed: %', reason using errcode = 'SC002';
  end if;
  return new;
end
$$;
create trigger wall before insert on ledger.lift for each row execute function ledger.wall();
alter table ledger.lift enable always trigger wall;

-- One batch in one round trip: the head is compared and swapped first, so two writers fail loudly and never fork the log.
-- Arrays run parallel over the entries; data keys over the keys that this batch brings first.
create function ledger.append(
  old_size bigint, old_root bytea, new_root bytea, note text, signed_at timestamptz,
  key_ids bytea[], key_wrapped bytea[],
  bodies bytea[], leaves bytea[], received timestamptz[], types text[], states text[], keys text[], sequences bigint[], payloads bytea[], takes boolean[],
  statements bytea[], data_keys bytea[], sealeds bytea[], judgements bytea[], clears bytea[]
) returns void language plpgsql as $$
declare
  new_size bigint := old_size + coalesce(array_length(bodies, 1), 0);
begin
  update ledger.head h set size = new_size, root = new_root where h.size = old_size and h.root = old_root;
  if not found then
    raise exception 'the head of the log is not where this writer left it: another writer is at work' using errcode = 'SC003';
  end if;
  insert into ledger.data_key (id, wrapped) select * from unnest(key_ids, key_wrapped) on conflict do nothing;
  insert into ledger.entry (index, body, leaf, received, type, state, key, sequence, payload, takes_sequence)
    select old_size + n - 1, b, l, r, t, s, k, q, p, x
    from unnest(bodies, leaves, received, types, states, keys, sequences, payloads, takes)
      with ordinality as u (b, l, r, t, s, k, q, p, x, n);
  insert into ledger.statement (index, sha256, data_key, sealed, judgement, clear)
    select old_size + n - 1, h, d, s, j, c
    from unnest(statements, data_keys, sealeds, judgements, clears) with ordinality as u (h, d, s, j, c, n);
  insert into ledger.checkpoint (size, root, note, signed_at) values (new_size, new_root, append.note, append.signed_at);
end
$$;

grant usage on schema ledger to scrutin_ledger, scrutin_tabulate, scrutin_recount, scrutin_release, scrutin_watch;
grant select, insert on ledger.definition, ledger.poll, ledger.data_key, ledger.entry, ledger.statement, ledger.checkpoint, ledger.gate_fact, ledger.lift to scrutin_ledger;
grant select, insert, update on ledger.head to scrutin_ledger;
grant select on ledger.definition, ledger.poll, ledger.data_key, ledger.entry, ledger.statement, ledger.checkpoint, ledger.head, ledger.gate_fact, ledger.lift
  to scrutin_tabulate, scrutin_recount;
grant select on ledger.definition, ledger.entry, ledger.checkpoint, ledger.head, ledger.gate_fact, ledger.lift to scrutin_release;
grant select on ledger.poll, ledger.entry, ledger.checkpoint, ledger.head, ledger.gate_fact, ledger.lift to scrutin_watch;

alter schema ledger owner to scrutin_owner;
do $$
declare
  r record;
begin
  for r in select c.relname from pg_class c where c.relnamespace = 'ledger'::regnamespace and c.relkind = 'r' loop
    execute format('alter table ledger.%I owner to scrutin_owner', r.relname);
  end loop;
  for r in select p.oid::regprocedure as name from pg_proc p where p.pronamespace = 'ledger'::regnamespace loop
    execute format('alter function %s owner to scrutin_owner', r.name);
    execute format('revoke all on function %s from public', r.name);
  end loop;
end
$$;
grant execute on function ledger.append, ledger.gate_reasons, ledger.wall, ledger.head_forward, ledger.refuse_change to scrutin_ledger;
grant execute on function ledger.gate_reasons to scrutin_tabulate, scrutin_recount, scrutin_watch;
