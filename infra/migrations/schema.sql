-- The schema that the migrations make: written by `tsx infra/migrations/migrate.ts --dump`, for review.

-- Roles

create role scrutin_ledger login;

create role scrutin_owner nologin;

create role scrutin_recount login;

create role scrutin_release login;

create role scrutin_tabulate login;

create role scrutin_watch login;

-- Schemas

create schema ledger authorization scrutin_owner;
grant usage on schema ledger to scrutin_ledger;
grant usage on schema ledger to scrutin_recount;
grant usage on schema ledger to scrutin_release;
grant usage on schema ledger to scrutin_tabulate;
grant usage on schema ledger to scrutin_watch;

create schema public authorization pg_database_owner;

create schema recount authorization scrutin_owner;
grant usage on schema recount to scrutin_recount;
grant usage on schema recount to scrutin_release;
grant usage on schema recount to scrutin_tabulate;

create schema release authorization scrutin_owner;
grant usage on schema release to scrutin_recount;
grant usage on schema release to scrutin_release;
grant usage on schema release to scrutin_tabulate;
grant usage on schema release to scrutin_watch;

create schema scrutin authorization postgres;

create schema tabulate authorization scrutin_owner;
grant usage on schema tabulate to scrutin_recount;
grant usage on schema tabulate to scrutin_release;
grant usage on schema tabulate to scrutin_tabulate;

create schema watch authorization scrutin_owner;
grant usage on schema watch to scrutin_watch;

-- Tables

create table ledger.checkpoint (
  size bigint not null,
  root bytea not null,
  note text not null,
  signed_at timestamp with time zone not null,
  constraint checkpoint_pkey PRIMARY KEY (size),
  constraint checkpoint_root_check CHECK ((length(root) = 32))
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.checkpoint FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant insert, select on ledger.checkpoint to scrutin_ledger;
grant select on ledger.checkpoint to scrutin_recount;
grant select on ledger.checkpoint to scrutin_release;
grant select on ledger.checkpoint to scrutin_tabulate;
grant select on ledger.checkpoint to scrutin_watch;

create table ledger.cosignature (
  size bigint not null,
  witness text not null,
  line text not null,
  cosigned_at timestamp with time zone not null default clock_timestamp(),
  constraint cosignature_pkey PRIMARY KEY (size, witness),
  constraint cosignature_size_fkey FOREIGN KEY (size) REFERENCES ledger.checkpoint(size)
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.cosignature FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant insert, select on ledger.cosignature to scrutin_ledger;
grant select on ledger.cosignature to scrutin_release;
grant select on ledger.cosignature to scrutin_watch;

create table ledger.data_key (
  id bytea not null,
  wrapped bytea not null,
  constraint data_key_pkey PRIMARY KEY (id),
  constraint data_key_id_check CHECK ((length(id) = 16))
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.data_key FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant insert, select on ledger.data_key to scrutin_ledger;
grant select on ledger.data_key to scrutin_recount;
grant select on ledger.data_key to scrutin_tabulate;

create table ledger.definition (
  one boolean not null default true,
  sha256 bytea not null,
  origin text not null,
  document bytea not null,
  signatures jsonb not null,
  constraint definition_pkey PRIMARY KEY (one),
  constraint definition_one_check CHECK (one),
  constraint definition_sha256_check CHECK ((length(sha256) = 32))
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.definition FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant insert, select on ledger.definition to scrutin_ledger;
grant select on ledger.definition to scrutin_release;

create table ledger.entry (
  index bigint not null,
  body bytea not null,
  leaf bytea not null,
  received timestamp with time zone not null,
  type text not null,
  state text not null,
  key text,
  sequence bigint,
  payload bytea,
  takes_sequence boolean not null default true,
  constraint entry_pkey PRIMARY KEY (index),
  constraint entry_leaf_check CHECK ((length(leaf) = 32)),
  constraint entry_payload_check CHECK ((length(payload) = 32))
);
-- owner scrutin_owner
CREATE UNIQUE INDEX entry_identity ON ledger.entry USING btree (key, sequence, payload);
CREATE INDEX entry_type ON ledger.entry USING btree (type, index) WHERE (type = ANY (ARRAY['key'::text, 'decision'::text, 'lift'::text, 'release'::text]));
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.entry FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant insert, select on ledger.entry to scrutin_ledger;
grant select on ledger.entry to scrutin_recount;
grant select on ledger.entry to scrutin_release;
grant select on ledger.entry to scrutin_tabulate;
grant select on ledger.entry to scrutin_watch;

create table ledger.gate_fact (
  index bigint not null,
  kind text not null,
  state text not null,
  constituency text,
  until timestamp with time zone,
  voids bigint,
  constraint gate_fact_pkey PRIMARY KEY (index),
  constraint gate_fact_check CHECK (((kind = 'extended'::text) = (until IS NOT NULL))),
  constraint gate_fact_index_fkey FOREIGN KEY (index) REFERENCES ledger.entry(index),
  constraint gate_fact_kind_check CHECK ((kind = ANY (ARRAY['closed'::text, 'extended'::text, 'override'::text, 'hold'::text, 'resume'::text, 'void'::text]))),
  constraint gate_fact_voids_check CHECK (((kind = 'void'::text) = (voids IS NOT NULL))),
  constraint gate_fact_voids_fkey FOREIGN KEY (voids) REFERENCES ledger.gate_fact(index)
);
-- owner scrutin_owner
CREATE UNIQUE INDEX gate_fact_voids ON ledger.gate_fact USING btree (voids) WHERE (voids IS NOT NULL);
CREATE TRIGGER look BEFORE INSERT ON ledger.gate_fact FOR EACH ROW EXECUTE FUNCTION ledger.look_at_fact();
-- look fires always
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.gate_fact FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant select on ledger.gate_fact to scrutin_watch;

create table ledger.head (
  one boolean not null default true,
  size bigint not null,
  root bytea not null,
  constraint head_pkey PRIMARY KEY (one),
  constraint head_one_check CHECK (one)
);
-- owner scrutin_owner
CREATE TRIGGER never_empty BEFORE TRUNCATE ON ledger.head FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- never_empty fires always
CREATE TRIGGER only_forward BEFORE DELETE OR UPDATE ON ledger.head FOR EACH ROW EXECUTE FUNCTION ledger.head_forward();
-- only_forward fires always
grant insert, select, update on ledger.head to scrutin_ledger;
grant select on ledger.head to scrutin_recount;
grant select on ledger.head to scrutin_release;
grant select on ledger.head to scrutin_tabulate;
grant select on ledger.head to scrutin_watch;

create table ledger.lift (
  one boolean not null default true,
  index bigint not null,
  at timestamp with time zone not null default clock_timestamp(),
  constraint lift_pkey PRIMARY KEY (one),
  constraint lift_index_fkey FOREIGN KEY (index) REFERENCES ledger.entry(index),
  constraint lift_one_check CHECK (one)
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.lift FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
CREATE TRIGGER wall BEFORE INSERT ON ledger.lift FOR EACH ROW EXECUTE FUNCTION ledger.wall();
-- wall fires always
grant select on ledger.lift to scrutin_watch;

create table ledger.origin (
  index bigint not null,
  origin text not null,
  statement bytea not null,
  constraint origin_pkey PRIMARY KEY (index),
  constraint origin_index_fkey FOREIGN KEY (index) REFERENCES ledger.entry(index),
  constraint origin_origin_key UNIQUE (origin)
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.origin FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant insert, select on ledger.origin to scrutin_ledger;
grant select on ledger.origin to scrutin_recount;
grant select on ledger.origin to scrutin_release;
grant select on ledger.origin to scrutin_tabulate;

create table ledger.poll (
  state text not null,
  constituency text not null,
  closes_at timestamp with time zone not null,
  constraint poll_pkey PRIMARY KEY (constituency)
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.poll FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
CREATE TRIGGER only_once BEFORE INSERT ON ledger.poll FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_second_schedule();
-- only_once fires always
grant insert, select on ledger.poll to scrutin_ledger;

create table ledger.statement (
  index bigint not null,
  sha256 bytea not null,
  data_key bytea not null,
  sealed bytea not null,
  judgement bytea not null,
  clear bytea,
  constraint statement_pkey PRIMARY KEY (index),
  constraint statement_data_key_fkey FOREIGN KEY (data_key) REFERENCES ledger.data_key(id),
  constraint statement_index_fkey FOREIGN KEY (index) REFERENCES ledger.entry(index),
  constraint statement_sha256_check CHECK ((length(sha256) = 32)),
  constraint statement_sha256_key UNIQUE (sha256)
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON ledger.statement FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant insert, select on ledger.statement to scrutin_ledger;
grant select on ledger.statement to scrutin_recount;
grant select on ledger.statement to scrutin_release;
grant select on ledger.statement to scrutin_tabulate;

create table recount."position" (
  one boolean not null default true,
  size bigint not null,
  constraint position_pkey PRIMARY KEY (one),
  constraint position_one_check CHECK (one)
);
-- owner scrutin_owner
grant insert, select, update on recount."position" to scrutin_recount;

create table recount.answer (
  number bigint not null,
  size bigint not null,
  sealed bytea not null,
  answered_at timestamp with time zone not null default clock_timestamp(),
  constraint answer_pkey PRIMARY KEY (number, size)
);
-- owner scrutin_owner
CREATE TRIGGER look BEFORE INSERT ON recount.answer FOR EACH ROW EXECUTE FUNCTION tabulate.look_at_size();
-- look fires always
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON recount.answer FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant select on recount.answer to scrutin_recount;
grant select on recount.answer to scrutin_release;
grant select on recount.answer to scrutin_tabulate;
-- column number: {scrutin_recount=a/scrutin_owner}
-- column size: {scrutin_recount=a/scrutin_owner}
-- column sealed: {scrutin_recount=a/scrutin_owner}

create table recount.cosignature (
  proposal bytea not null,
  signature bytea not null,
  constraint cosignature_pkey PRIMARY KEY (proposal),
  constraint cosignature_proposal_fkey FOREIGN KEY (proposal) REFERENCES tabulate.proposal(sha256)
);
-- owner scrutin_owner
grant insert, select on recount.cosignature to scrutin_recount;
grant select on recount.cosignature to scrutin_tabulate;

create table recount.part (
  name text not null,
  sealed bytea not null,
  constraint part_pkey PRIMARY KEY (name)
);
-- owner scrutin_owner
grant insert, select, update on recount.part to scrutin_recount;

create table release.data_key_share (
  id bytea not null,
  given_by text not null,
  share bytea not null,
  given_at timestamp with time zone not null default clock_timestamp(),
  constraint data_key_share_pkey PRIMARY KEY (id, given_by),
  constraint data_key_share_given_by_check CHECK ((given_by = ANY (ARRAY['tabulate'::text, 'recount'::text]))),
  constraint data_key_share_id_fkey FOREIGN KEY (id) REFERENCES ledger.data_key(id),
  constraint data_key_share_share_check CHECK ((length(share) = 32))
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON release.data_key_share FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
CREATE TRIGGER wall BEFORE INSERT ON release.data_key_share FOR EACH ROW EXECUTE FUNCTION release.wall();
-- wall fires always
grant select on release.data_key_share to scrutin_recount;
grant select on release.data_key_share to scrutin_release;
grant select on release.data_key_share to scrutin_tabulate;

create table release.delivery (
  key text not null,
  number bigint not null,
  sha256 bytea not null,
  at timestamp with time zone not null default clock_timestamp(),
  constraint delivery_pkey PRIMARY KEY (key),
  constraint delivery_key_check CHECK ((length(key) <= 64)),
  constraint delivery_sha256_check CHECK ((length(sha256) = 32))
);
-- owner scrutin_owner
grant select on release.delivery to scrutin_watch;

create table release.key_share (
  number bigint not null,
  size bigint not null,
  given_by text not null,
  share bytea not null,
  given_at timestamp with time zone not null default clock_timestamp(),
  constraint key_share_pkey PRIMARY KEY (number, given_by),
  constraint key_share_given_by_check CHECK ((given_by = ANY (ARRAY['tabulate'::text, 'recount'::text]))),
  constraint key_share_share_check CHECK ((length(share) = 32))
);
-- owner scrutin_owner
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON release.key_share FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
CREATE TRIGGER wall BEFORE INSERT ON release.key_share FOR EACH ROW EXECUTE FUNCTION release.wall();
-- wall fires always
grant select on release.key_share to scrutin_recount;
grant select on release.key_share to scrutin_release;
grant select on release.key_share to scrutin_tabulate;
grant select on release.key_share to scrutin_watch;

create table scrutin.migration (
  number integer not null,
  name text not null,
  sha256 bytea not null,
  applied_at timestamp with time zone not null default clock_timestamp(),
  constraint migration_pkey PRIMARY KEY (number),
  constraint migration_sha256_check CHECK ((length(sha256) = 32))
);
-- owner postgres

create table tabulate."position" (
  one boolean not null default true,
  size bigint not null,
  constraint position_pkey PRIMARY KEY (one),
  constraint position_one_check CHECK (one)
);
-- owner scrutin_owner
grant insert, select, update on tabulate."position" to scrutin_tabulate;

create table tabulate.candidate (
  number bigint not null,
  size bigint not null,
  sealed bytea not null,
  written_at timestamp with time zone not null default clock_timestamp(),
  constraint candidate_pkey PRIMARY KEY (number, size)
);
-- owner scrutin_owner
CREATE TRIGGER look BEFORE INSERT ON tabulate.candidate FOR EACH ROW EXECUTE FUNCTION tabulate.look_at_size();
-- look fires always
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON tabulate.candidate FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant select on tabulate.candidate to scrutin_recount;
grant select on tabulate.candidate to scrutin_release;
grant select on tabulate.candidate to scrutin_tabulate;
-- column number: {scrutin_tabulate=a/scrutin_owner}
-- column size: {scrutin_tabulate=a/scrutin_owner}
-- column sealed: {scrutin_tabulate=a/scrutin_owner}

create table tabulate.part (
  name text not null,
  sealed bytea not null,
  constraint part_pkey PRIMARY KEY (name)
);
-- owner scrutin_owner
grant insert, select, update on tabulate.part to scrutin_tabulate;

create table tabulate.proposal (
  sha256 bytea not null,
  type text not null,
  payload bytea not null,
  signature bytea not null,
  proposed_at timestamp with time zone not null default clock_timestamp(),
  constraint proposal_pkey PRIMARY KEY (sha256),
  constraint proposal_sha256_check CHECK ((length(sha256) = 32)),
  constraint proposal_type_check CHECK ((type = ANY (ARRAY['lift'::text, 'release'::text])))
);
-- owner scrutin_owner
grant select on tabulate.proposal to scrutin_recount;
grant select on tabulate.proposal to scrutin_tabulate;
-- column sha256: {scrutin_tabulate=a/scrutin_owner}
-- column type: {scrutin_tabulate=a/scrutin_owner}
-- column payload: {scrutin_tabulate=a/scrutin_owner}
-- column signature: {scrutin_tabulate=a/scrutin_owner}

create table watch."position" (
  service text not null,
  created timestamp with time zone not null,
  seq bigint not null,
  constraint position_pkey PRIMARY KEY (service),
  constraint position_seq_check CHECK ((seq >= 0)),
  constraint position_service_check CHECK ((length(service) <= 32))
);
-- owner scrutin_owner
grant insert, select, update on watch."position" to scrutin_watch;

create table watch.delivered (
  receiver text not null,
  id bigint not null,
  constraint delivered_pkey PRIMARY KEY (receiver),
  constraint delivered_id_check CHECK ((id >= 0)),
  constraint delivered_receiver_check CHECK ((length(receiver) <= 64))
);
-- owner scrutin_owner
grant insert, select, update on watch.delivered to scrutin_watch;

create table watch.incident_event (
  incident uuid not null,
  id bigint not null generated always as identity,
  kind text not null,
  at timestamp with time zone not null default clock_timestamp(),
  who text,
  says text,
  detail jsonb not null default '{}'::jsonb,
  constraint incident_event_pkey PRIMARY KEY (id),
  constraint incident_event_detail_check CHECK ((octet_length((detail)::text) <= 4096)),
  constraint incident_event_id_check CHECK ((id <= 200000)),
  constraint incident_event_kind_check CHECK ((kind = ANY (ARRAY['raised'::text, 'repeated'::text, 'ended'::text, 'escalated'::text, 'acknowledged'::text, 'explained'::text, 'closed'::text]))),
  constraint incident_event_says_check CHECK (((length(says) >= 1) AND (length(says) <= 2000))),
  constraint incident_event_who_check CHECK (((length(who) >= 1) AND (length(who) <= 200)))
);
-- owner scrutin_owner
CREATE UNIQUE INDEX one_raise ON watch.incident_event USING btree (incident) WHERE (kind = 'raised'::text);
CREATE TRIGGER only_grows BEFORE DELETE OR UPDATE OR TRUNCATE ON watch.incident_event FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse_change();
-- only_grows fires always
grant select on watch.incident_event to scrutin_watch;
-- column incident: {scrutin_watch=a/scrutin_owner}
-- column kind: {scrutin_watch=a/scrutin_owner}
-- column who: {scrutin_watch=a/scrutin_owner}
-- column says: {scrutin_watch=a/scrutin_owner}
-- column detail: {scrutin_watch=a/scrutin_owner}

-- Views and sequences

create view ledger.announced as
 SELECT e.index,
    e.received,
    s.clear
   FROM (ledger.entry e
     JOIN ledger.statement s ON ((s.index = e.index)))
  WHERE (e.type = 'release'::text);
-- owner scrutin_owner
grant select on ledger.announced to scrutin_watch;

create sequence watch.incident_event_id_seq as bigint start 1 increment 1 minvalue 1 maxvalue 9223372036854775807;
-- owner scrutin_owner

-- Functions

CREATE OR REPLACE FUNCTION ledger.append(old_size bigint, old_root bytea, new_root bytea, note text, signed_at timestamp with time zone, key_ids bytea[], key_wrapped bytea[], bodies bytea[], leaves bytea[], received timestamp with time zone[], types text[], states text[], keys text[], sequences bigint[], payloads bytea[], takes boolean[], statements bytea[], data_keys bytea[], sealeds bytea[], judgements bytea[], clears bytea[])
 RETURNS void
 LANGUAGE plpgsql
AS $function$
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
$function$
;
-- owner scrutin_owner
grant execute on function ledger.append(old_size bigint, old_root bytea, new_root bytea, note text, signed_at timestamp with time zone, key_ids bytea[], key_wrapped bytea[], bodies bytea[], leaves bytea[], received timestamp with time zone[], types text[], states text[], keys text[], sequences bigint[], payloads bytea[], takes boolean[], statements bytea[], data_keys bytea[], sealeds bytea[], judgements bytea[], clears bytea[]) to scrutin_ledger;

CREATE OR REPLACE FUNCTION ledger.become_writer()
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select pg_try_advisory_lock(7214020261)
$function$
;
-- owner scrutin_owner
grant execute on function ledger.become_writer() to scrutin_ledger;

CREATE OR REPLACE FUNCTION ledger.close_in_force(about text, before bigint)
 RETURNS timestamp with time zone
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select greatest(p.closes_at, (
    select max(f.until) from ledger.gate_fact f
    where f.kind = 'extended' and f.state = p.state and (f.constituency is null or f.constituency = p.constituency)
      and (before is null or f.index < before)
      and not exists (select from ledger.gate_fact v where v.voids = f.index and (before is null or v.index < before))))
  from ledger.poll p where p.constituency = about
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION ledger.fact_reasons(fact ledger.gate_fact)
 RETURNS SETOF text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION ledger.gate_reasons()
 RETURNS SETOF text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION ledger.head_forward()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  if tg_op <> 'UPDATE' or new.size <= old.size then
    raise exception 'the head of the log only moves forward: % is refused', tg_op using errcode = 'SC001';
  end if;
  return new;
end
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION ledger.look_at_fact()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  reason text;
begin
  select string_agg(r, '; ') into reason from ledger.fact_reasons(new) as r;
  if reason is not null then
    raise exception 'this cannot be said of the gate: %', reason using errcode = 'SC005';
  end if;
  return new;
end
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION ledger.record_gate_fact(index bigint, kind text, state text, constituency text, until timestamp with time zone, voids bigint)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
-- owner scrutin_owner
grant execute on function ledger.record_gate_fact(index bigint, kind text, state text, constituency text, until timestamp with time zone, voids bigint) to scrutin_ledger;

CREATE OR REPLACE FUNCTION ledger.record_lift(index bigint)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
-- owner scrutin_owner
grant execute on function ledger.record_lift(index bigint) to scrutin_ledger;

CREATE OR REPLACE FUNCTION ledger.refuse_change()
 RETURNS trigger
 LANGUAGE plpgsql
AS $function$
begin
  raise exception 'ledger.% only grows: % is refused', tg_table_name, tg_op using errcode = 'SC001';
end
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION ledger.refuse_second_schedule()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if exists (select from ledger.poll) or exists (select from ledger.entry) then
    raise exception 'the schedule is the definition''s: % is refused', tg_op using errcode = 'SC001';
  end if;
  return null;
end
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION ledger.wall()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION recount.become_active()
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select pg_try_advisory_lock(7214020263)
$function$
;
-- owner scrutin_owner
grant execute on function recount.become_active() to scrutin_recount;

CREATE OR REPLACE FUNCTION release.caller()
 RETURNS text
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if session_user not in ('scrutin_tabulate', 'scrutin_recount') then
    raise exception 'a share is given by the count that holds it' using errcode = 'SC004';
  end if;
  return replace(session_user, 'scrutin_', '');
end
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION release.gate_reasons()
 RETURNS SETOF text
 LANGUAGE sql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select 'no lift in the log' where not exists (select from ledger.lift)
  union all
  select 'no schedule' where not exists (select from ledger.poll)
  union all
  -- As it stood at the lift: what is said later cannot shut the gate again, nor open it.
  select 'polls of ' || p.constituency || ' close later' from ledger.poll p
    where clock_timestamp() < ledger.close_in_force(p.constituency, (select l.index from ledger.lift l))
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION release.give_data_key_shares(ids bytea[], shares bytea[])
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform release.look();
  insert into release.data_key_share (id, given_by, share)
    select i, release.caller(), s from unnest(ids, shares) as given (i, s)
    on conflict do nothing;
end
$function$
;
-- owner scrutin_owner
grant execute on function release.give_data_key_shares(ids bytea[], shares bytea[]) to scrutin_recount;
grant execute on function release.give_data_key_shares(ids bytea[], shares bytea[]) to scrutin_tabulate;

CREATE OR REPLACE FUNCTION release.give_key_share(number bigint, size bigint, share bytea)
 RETURNS void
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  perform release.look();
  insert into release.key_share (number, size, given_by, share)
    values (give_key_share.number, give_key_share.size, release.caller(), give_key_share.share)
    on conflict do nothing;
end
$function$
;
-- owner scrutin_owner
grant execute on function release.give_key_share(number bigint, size bigint, share bytea) to scrutin_recount;
grant execute on function release.give_key_share(number bigint, size bigint, share bytea) to scrutin_tabulate;

CREATE OR REPLACE FUNCTION release.look()
 RETURNS void
 LANGUAGE plpgsql
 STABLE
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  reason text;
begin
  select string_agg(r, '; ') into reason from release.gate_reasons() as r;
  if reason is not null then
    raise exception 'the gate is closed: %', reason using errcode = 'SC002';
  end if;
end
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION release.record_delivery(key text, number bigint, sha256 bytea)
 RETURNS void
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  insert into release.delivery (key, number, sha256) values ($1, $2, $3)
    on conflict (key) do update set number = excluded.number, sha256 = excluded.sha256, at = clock_timestamp()
$function$
;
-- owner scrutin_owner
grant execute on function release.record_delivery(key text, number bigint, sha256 bytea) to scrutin_release;

CREATE OR REPLACE FUNCTION release.wall()
 RETURNS trigger
 LANGUAGE plpgsql
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
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
$function$
;
-- owner scrutin_owner

CREATE OR REPLACE FUNCTION tabulate.become_active()
 RETURNS boolean
 LANGUAGE sql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
  select pg_try_advisory_lock(7214020262)
$function$
;
-- owner scrutin_owner
grant execute on function tabulate.become_active() to scrutin_tabulate;

CREATE OR REPLACE FUNCTION tabulate.look_at_size()
 RETURNS trigger
 LANGUAGE plpgsql
 SECURITY DEFINER
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
begin
  if new.size > (select h.size from ledger.head h) then
    raise exception 'the log has no % entries', new.size using errcode = 'SC006';
  end if;
  return new;
end
$function$
;
-- owner scrutin_owner
