-- The life of incidents: what happened to each, one row after the other, and nothing is changed or taken away. And the cosignatures of
-- checkpoints, which are public, for whoever watches whether the log's witnesses follow it.

create schema watch;
alter schema watch owner to scrutin_owner;

create table watch.incident_event (
  incident uuid not null,
  -- An honest night has some hundreds; whoever writes with a stolen password fills no disk.
  id bigint generated always as identity primary key check (id <= 200000),
  kind text not null check (kind in ('raised', 'repeated', 'ended', 'escalated', 'acknowledged', 'explained', 'closed')),
  at timestamptz not null default clock_timestamp(),
  who text check (length(who) between 1 and 200),       -- null: watch itself
  says text check (length(says) between 1 and 2000),
  detail jsonb not null default '{}' check (octet_length(detail::text) <= 4096)
);
create unique index one_raise on watch.incident_event (incident) where kind = 'raised';

-- How far the incidents of a service were taken from NATS; `created` tells one stream from the next that is made in its place.
create table watch.position (
  service text primary key check (length(service) <= 32),
  created timestamptz not null,
  seq bigint not null check (seq >= 0)
);

-- How far each receiver of the webhooks has everything.
create table watch.delivered (
  receiver text primary key check (length(receiver) <= 64),
  id bigint not null check (id >= 0)
);

create trigger only_grows before update or delete or truncate on watch.incident_event
  for each statement execute function ledger.refuse_change();
alter table watch.incident_event enable always trigger only_grows;
alter table watch.incident_event owner to scrutin_owner;
alter table watch.position owner to scrutin_owner;
alter table watch.delivered owner to scrutin_owner;

grant usage on schema watch to scrutin_watch;
grant select on watch.incident_event, watch.position, watch.delivered to scrutin_watch;
grant insert (incident, kind, who, says, detail) on watch.incident_event to scrutin_watch;
grant insert, update on watch.position, watch.delivered to scrutin_watch;

grant select on ledger.cosignature to scrutin_watch;
