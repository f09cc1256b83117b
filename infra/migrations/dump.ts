import type pg from "pg";

/** Schemas of the project: all but Postgres' own, and `public`, which it does not use. */
const OURS = `n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'public')`;

/** Roles that something in this database refers to; the bootstrap superuser is in no such list. */
const ROLE_IN_USE = `
  r.oid in (
    select refobjid from pg_shdepend
    where refclassid = 'pg_authid'::regclass and dbid = (select oid from pg_database where datname = current_database())
  )`;

/** Who may do what with an object, the defaults of Postgres spelt out, without what its owner may anyway. */
const grants = (acl: string, kind: string, owner: string) => `
  select string_agg(line, '' order by line collate "C") from (
    select format(
      E'grant %s on %s to %s%s;\\n',
      string_agg(lower(privilege_type), ', ' order by privilege_type collate "C"), object,
      case when grantee = 0 then 'public' else quote_ident(pg_get_userbyid(grantee)) end,
      case when is_grantable then ' with grant option' else '' end) as line
    from aclexplode(coalesce(${acl}, acldefault('${kind}', ${owner})))
    where grantee <> ${owner}
    group by grantee, is_grantable) as granted`;

/**
 * Each section is one query that answers lines of text in a fixed order. Everything that a review must see is here:
 * who exists and may log in, who may touch what, what is checked, and whether a trigger fires always.
 */
const SECTIONS: readonly [title: string, query: string][] = [
  [
    "Roles",
    `select format('create role %I %s%s%s%s%s;', rolname,
        case when rolcanlogin then 'login' else 'nologin' end, case when rolsuper then ' superuser' else '' end,
        case when rolcreaterole then ' createrole' else '' end, case when rolcreatedb then ' createdb' else '' end,
        case when rolbypassrls then ' bypassrls' else '' end)
      || coalesce((select string_agg(format(E'\\ngrant %I to %I;', g.rolname, r.rolname), '' order by g.rolname collate "C")
        from pg_auth_members m join pg_roles g on g.oid = m.roleid where m.member = r.oid), '')
      || coalesce((select string_agg(format(E'\\nalter role %I set %s;', r.rolname, setting), '' order by setting collate "C")
        from pg_db_role_setting s, unnest(s.setconfig) as setting where s.setrole = r.oid), '') as text
    from pg_roles r where ${ROLE_IN_USE} order by rolname collate "C"`,
  ],
  [
    "Schemas",
    `select format(E'create schema %I authorization %I;\\n', n.nspname, pg_get_userbyid(n.nspowner))
      || coalesce((${grants("n.nspacl", "n", "n.nspowner")}), '') as text
    from pg_namespace n, lateral (select 'schema ' || quote_ident(n.nspname) as object) o
    where ${OURS} or n.nspname = 'public' order by n.nspname collate "C"`,
  ],
  [
    "Types",
    `select case t.typtype
        when 'e' then format('create type %s as enum (%s);', o.name, (
          select string_agg(quote_literal(enumlabel), ', ' order by enumsortorder) from pg_enum where enumtypid = t.oid))
        else format('create domain %s as %s%s;', o.name, format_type(t.typbasetype, t.typtypmod), (
          select string_agg(' ' || pg_get_constraintdef(c.oid), '' order by conname collate "C")
          from pg_constraint c where c.contypid = t.oid)) end as text
    from pg_type t join pg_namespace n on n.oid = t.typnamespace,
      lateral (select format('%I.%I', n.nspname, t.typname) as name) o
    where ${OURS} and t.typtype in ('e', 'd') order by o.name collate "C"`,
  ],
  [
    "Tables",
    `select format(E'create %stable %s (\\n%s\\n)%s;\\n-- owner %s\\n',
        case c.relpersistence when 'u' then 'unlogged ' else '' end, o.name,
        concat_ws(E',\\n', nullif(columns.text, ''), nullif(constraints.text, '')),
        case when c.reloptions is null then '' else format(' with (%s)', array_to_string(c.reloptions, ', ')) end,
        quote_ident(pg_get_userbyid(c.relowner)))
      || case when c.relrowsecurity then format(E'alter table %s enable row level security;\\n', o.name) else '' end
      || case when c.relforcerowsecurity then format(E'alter table %s force row level security;\\n', o.name) else '' end
      || coalesce((select string_agg(pg_get_indexdef(i.indexrelid) || E';\\n', '' order by x.relname collate "C")
        from pg_index i join pg_class x on x.oid = i.indexrelid
        where i.indrelid = c.oid and not exists (select from pg_constraint k where k.conindid = i.indexrelid)), '')
      || coalesce((select string_agg(format(E'%s;\\n-- %s %s\\n', pg_get_triggerdef(t.oid), t.tgname, case t.tgenabled
          when 'A' then 'fires always' when 'O' then 'fires but for replicas' when 'R' then 'fires for replicas only'
          else 'is disabled' end), '' order by t.tgname collate "C")
        from pg_trigger t where t.tgrelid = c.oid and not t.tgisinternal), '')
      || coalesce((select string_agg(format(E'-- policy %I: %s, using %s, with check %s\\n', p.polname, p.polcmd,
          pg_get_expr(p.polqual, c.oid), pg_get_expr(p.polwithcheck, c.oid)), '' order by p.polname collate "C")
        from pg_policy p where p.polrelid = c.oid), '')
      || coalesce((${grants("c.relacl", "r", "c.relowner")}), '')
      || coalesce((select string_agg(format(E'-- column %I: %s\\n', a.attname, a.attacl), '' order by a.attnum)
        from pg_attribute a where a.attrelid = c.oid and a.attacl is not null), '') as text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace,
      lateral (select format('%I.%I', n.nspname, c.relname) as name, format('%I.%I', n.nspname, c.relname) as object) o,
      lateral (select string_agg(format('  %I %s%s%s%s', a.attname, format_type(a.atttypid, a.atttypmod),
          case when a.attnotnull then ' not null' else '' end,
          case a.attidentity when 'a' then ' generated always as identity' when 'd' then ' generated by default as identity' else '' end,
          case when d.adbin is null then '' when a.attgenerated <> '' then format(' generated always as (%s) stored', pg_get_expr(d.adbin, c.oid))
            else ' default ' || pg_get_expr(d.adbin, c.oid) end), E',\\n' order by a.attnum) as text
        from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped) columns,
      lateral (select string_agg(format('  constraint %I %s', k.conname, pg_get_constraintdef(k.oid)), E',\\n'
          order by k.contype = 'p' desc, k.conname collate "C") as text
        from pg_constraint k where k.conrelid = c.oid and k.contype not in ('n', 't')) constraints
    where ${OURS} and c.relkind in ('r', 'p') order by o.name collate "C"`,
  ],
  [
    "Views and sequences",
    `select case c.relkind
        when 'S' then (select format(E'create sequence %s as %s start %s increment %s minvalue %s maxvalue %s;\\n', o.object,
          data_type, start_value, increment_by, min_value, max_value) from pg_sequences q
          where q.schemaname = n.nspname and q.sequencename = c.relname)
        else format(E'create %s %s as\\n%s\\n', case c.relkind when 'm' then 'materialized view' else 'view' end, o.object,
          pg_get_viewdef(c.oid)) end
      || format(E'-- owner %s\\n', quote_ident(pg_get_userbyid(c.relowner)))
      || coalesce((${grants("c.relacl", "r", "c.relowner")}), '') as text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace,
      lateral (select format('%I.%I', n.nspname, c.relname) as object) o
    where ${OURS} and c.relkind in ('v', 'm', 'S') order by o.object collate "C"`,
  ],
  [
    "Functions",
    `select pg_get_functiondef(p.oid) || format(E';\\n-- owner %s\\n', quote_ident(pg_get_userbyid(p.proowner)))
      || coalesce((${grants("p.proacl", "f", "p.proowner")}), '') as text
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace,
      lateral (select format('%s %I.%I(%s)', case p.prokind when 'p' then 'procedure' else 'function' end, n.nspname, p.proname,
        pg_get_function_identity_arguments(p.oid)) as object) o
    where ${OURS} and p.prokind in ('f', 'p') order by o.object collate "C"`,
  ],
  [
    "Default privileges",
    `select format('-- by %s in %s for %s: %s', pg_get_userbyid(defaclrole), coalesce(n.nspname, 'every schema'), defaclobjtype, defaclacl) as text
    from pg_default_acl left join pg_namespace n on n.oid = defaclnamespace order by 1`,
  ],
];

/**
 * The schema of a database as text, for people to review: roles and their rights, schemas, types, tables with
 * columns, constraints, indexes, triggers and whether they fire always, functions with their bodies. The same
 * schema gives the same text on any server of the same version. Rights are spelt out where Postgres' defaults
 * grant them (`execute` to public); what an owner may do with its own is left out. Meant to be read, not to be run.
 */
export async function dumpSchema(client: pg.ClientBase): Promise<string> {
  const parts = [
    "-- The schema that the migrations make: written by `tsx infra/migrations/migrate.ts --dump`, for review.\n",
  ];
  for (const [title, query] of SECTIONS) {
    const { rows } = await client.query<{ text: string }>(query);
    if (rows.length === 0) continue;
    parts.push(`\n-- ${title}\n`, ...rows.map(({ text }) => `\n${text.trimEnd()}\n`));
  }
  return parts.join("");
}
