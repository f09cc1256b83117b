-- A stolen password of one service must not stop the others: nobody takes another's lock, every connection, or the disk. Run as a
-- superuser: functions of Postgres itself are taken away from everybody.

-- Advisory locks are everybody's: whoever waits in one has it when its holder dies, and a few thousand fill the table of locks.
-- Large objects and messages in the write-ahead log fill the disk. No service uses either.
do $$
declare
  name text;
begin
  for name in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace
      and (p.proname ~ '^pg_(try_)?advisory_' or p.proname ~ '^lo_' or p.proname in ('lowrite', 'loread', 'pg_logical_emit_message'))
  loop
    execute format('revoke execute on function %s from public', name);
  end loop;
  execute format('revoke temporary on database %I from public', current_database());
  for name in select unnest(array['ledger', 'tabulate', 'recount', 'release', 'watch']) loop
    execute format('alter role scrutin_%s connection limit 36', name);
  end loop;
end
$$;

-- True if this session is now the one that writes, or counts; it stays so until the session ends. Each is for its own role.
create function ledger.become_writer() returns boolean language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select pg_try_advisory_lock(7214020261)
$$;
create function tabulate.become_active() returns boolean language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select pg_try_advisory_lock(7214020262)
$$;
create function recount.become_active() returns boolean language sql volatile security definer set search_path = pg_catalog, pg_temp as $$
  select pg_try_advisory_lock(7214020263)
$$;
do $$
declare
  name text;
begin
  for name in
    select p.oid::regprocedure from pg_proc p
    where p.pronamespace = 'pg_catalog'::regnamespace and p.proname = 'pg_try_advisory_lock' and p.pronargs = 1
  loop
    execute format('grant execute on function %s to scrutin_owner', name);
  end loop;
end
$$;
alter function ledger.become_writer owner to scrutin_owner;
alter function tabulate.become_active owner to scrutin_owner;
alter function recount.become_active owner to scrutin_owner;
revoke all on function ledger.become_writer, tabulate.become_active, recount.become_active from public;
grant execute on function ledger.become_writer to scrutin_ledger;
grant execute on function tabulate.become_active to scrutin_tabulate;
grant execute on function recount.become_active to scrutin_recount;

-- When a row was written is said by this database, not by who writes it: a row dated in the future would be the newest for ever.
revoke insert on tabulate.candidate, tabulate.proposal from scrutin_tabulate;
revoke insert on recount.answer from scrutin_recount;
grant insert (number, size, sealed) on tabulate.candidate to scrutin_tabulate;
grant insert (sha256, type, payload, signature) on tabulate.proposal to scrutin_tabulate;
grant insert (number, size, sealed) on recount.answer to scrutin_recount;

-- A candidate counts a prefix of the log; one beyond its head would be the largest for ever.
create function tabulate.look_at_size() returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if new.size > (select h.size from ledger.head h) then
    raise exception 'the log has no % entries', new.size using errcode = 'SC006';
  end if;
  return new;
end
$$;
alter function tabulate.look_at_size owner to scrutin_owner;
revoke all on function tabulate.look_at_size from public;
create trigger look before insert on tabulate.candidate for each row execute function tabulate.look_at_size();
create trigger look before insert on recount.answer for each row execute function tabulate.look_at_size();
alter table tabulate.candidate enable always trigger look;
alter table recount.answer enable always trigger look;
