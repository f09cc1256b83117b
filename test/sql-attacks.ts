/** What whoever holds a database credential tries, in SQL of their own. */

/** What is tried on every table: `t` its name, `c` a column of it. Nothing that is let through changes a row; all is undone. */
export const VERBS: Record<string, (t: string, c: string) => string> = {
  select: (t) => `select * from ${t}`,
  insert: (t) => `insert into ${t} default values`,
  update: (t, c) => `update ${t} set ${c} = ${c} where false`,
  delete: (t) => `delete from ${t} where false`,
  truncate: (t) => `truncate ${t} cascade`,
  merge: (t) => `merge into ${t} x using (select) y on false when not matched then do nothing when matched then delete`,
  "copy from": (t) => `copy ${t} from '/etc/hostname'`,
  "copy from a program": (t) => `copy ${t} from program 'echo 1'`,
  "disable trigger": (t) => `alter table ${t} disable trigger all`,
  "create trigger": (t) =>
    `create trigger mine before insert on ${t} execute function suppress_redundant_updates_trigger()`,
  "create rule": (t) => `create rule mine as on insert to ${t} do instead nothing`,
  "add a column": (t) => `alter table ${t} add mine text`,
  "another owner": (t) => `alter table ${t} owner to current_user`,
  drop: (t) => `drop table ${t} cascade`,
  "row security": (t) => `alter table ${t} enable row level security`,
  inherit: (t) => `create temporary table mine () inherits (${t})`,
};

/** What a role has no right to, whatever it is about. */
export const FORBIDDEN: string[] = [
  ...["postgres", "scrutin_owner", "pg_read_server_files", "pg_read_all_data"].flatMap((role) => [
    `set role ${role}`,
    `set session authorization ${role}`,
    `grant ${role} to current_user`,
  ]),
  "set session_replication_role = 'replica'",
  "select set_config('session_replication_role', 'replica', false)",
  "alter role current_user superuser",
  "alter role current_user replication",
  "create role mine",
  "create schema mine",
  "alter schema ledger owner to current_user",
  ...["public", "ledger", "tabulate", "recount", "release", "pg_catalog"].flatMap((schema) => [
    `create table ${schema}.mine ()`,
    `create view ${schema}.mine as select 1`,
    `create function ${schema}.mine() returns int language sql as 'select 1'`,
    `create operator ${schema}.= (leftarg = bigint, rightarg = text, function = texteq)`,
  ]),
  "create or replace function ledger.gate_reasons() returns setof text language sql as 'select null::text where false'",
  "create or replace function release.look() returns void language sql as 'select'",
  "alter function ledger.record_lift(bigint) reset search_path",
  "alter function ledger.record_lift(bigint) owner to current_user",
  "drop function ledger.gate_reasons() cascade",
  "create event trigger mine on ddl_command_end execute function ledger.refuse_change()",
  ...["dblink", "postgres_fdw", "file_fdw", "pageinspect", "pg_buffercache"].map(
    (name) => `create extension ${name} schema pg_catalog`,
  ),
  "create language plpython3u",
  "create foreign data wrapper mine",
  "create publication mine for all tables",
  "select pg_create_logical_replication_slot('mine', 'test_decoding')",
  "select pg_create_physical_replication_slot('mine')",
  "copy (select 1) to program 'cat'",
  "copy (select 1) to '/tmp/mine'",
  ...["pg_read_file('postgresql.conf')", "pg_read_binary_file('PG_VERSION')", "pg_ls_dir('.')", "pg_ls_waldir()"].map(
    (call) => `select ${call}`,
  ),
  "select lo_import('/etc/hostname')",
  "select lo_export(1, '/tmp/mine')",
  "select pg_reload_conf()",
  "select pg_switch_wal()",
  "checkpoint",
  "select pg_terminate_backend(pid) from pg_stat_activity where usename <> current_user",
  "select pg_cancel_backend(pid) from pg_stat_activity where usename <> current_user",
  "select * from pg_authid",
  "select * from pg_statistic",
  "select pg_backup_start('mine')",
  // What stops others: their locks, the table of locks, the disk.
  "select pg_advisory_lock(7214020261)",
  "select pg_try_advisory_lock_shared(1, n) from generate_series(1, 100000) n",
  "select pg_advisory_xact_lock(7214020262)",
  "select lo_from_bytea(0, 'x')",
  "select lo_create(0)",
  "select pg_logical_emit_message(false, 'mine', repeat('x', 1000))",
  "create temporary table mine ()",
  "set temp_file_limit = -1",
  "alter role current_user connection limit -1",
  "load '/tmp/mine.so'",
];

/** The same, of what no transaction may hold. */
export const FORBIDDEN_ALONE = [
  "create database mine",
  "alter system set fsync = off",
  "create tablespace mine location '/tmp'",
];

/** What a session may change for itself before it asks for the gate. */
export const TRICKS: string[][] = [
  [],
  ["set transaction isolation level serializable"],
  ["set timezone = 'UTC-14'", "set datestyle = 'SQL, DMY'"],
  ["set row_security = off", "set check_function_bodies = off", "set constraints all deferred"],
  [
    "create function pg_temp.clock_timestamp() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$",
    "create function pg_temp.gate_reasons() returns setof text language sql as $$ select null::text where false $$",
    "create function pg_temp.close_in_force(text, bigint) returns timestamptz language sql as $$ select '-infinity'::timestamptz $$",
    "create function pg_temp.look() returns void language sql as 'select'",
    "set search_path = pg_temp, pg_catalog, ledger, release",
  ],
  [
    "create temporary table poll (state text, constituency text, closes_at timestamptz)",
    "insert into pg_temp.poll values ('AT', 'AT', '2000-01-01')",
    "create temporary table lift as select true as one, 1::bigint as index, now() as at",
    "create temporary table entry (index bigint, type text)",
    "set search_path = pg_temp, pg_catalog, ledger, release",
  ],
  [
    "create function pg_temp.never(timestamptz, timestamptz) returns boolean language sql as 'select false'",
    "create operator pg_temp.< (leftarg = timestamptz, rightarg = timestamptz, function = pg_temp.never)",
    "set search_path = pg_temp, pg_catalog",
  ],
];

/** Every way in which the gate's functions are asked; the log's lift is entry `index`. */
export const OPENINGS: ((index: number) => string)[] = [
  (index) => `select ledger.record_lift(${index})`,
  () => "select release.give_key_share(1, 2, sha256('share'))",
  () => "select release.give_data_key_shares(array[substr(sha256('id'), 1, 16)], array[sha256('share')])",
];
