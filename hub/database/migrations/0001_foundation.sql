-- The schema, its clock, the tenant of a transaction, and the roles' shared rights.
-- Placeholders: none. The admin role runs this; services connect as members of hub_service, which cannot bypass row security.

create schema if not exists hub;

do $$
begin
  if not exists (select from pg_roles where rolname = 'hub_service') then
    create role hub_service nologin nobypassrls;
  end if;
  if not exists (select from pg_roles where rolname = 'hub_definer') then
    create role hub_definer nologin nobypassrls;
  end if;
  execute format('grant hub_definer to %I', current_user);
end
$$;

grant usage on schema hub to hub_service, hub_definer;

-- The only clock in SQL; tests replace it.
create function hub.clock() returns timestamptz
  language sql volatile parallel safe
  return clock_timestamp();

-- The tenant of this transaction; null outside one, so that every policy then hides everything.
create function hub.tenant() returns text
  language sql stable parallel safe
  return nullif(current_setting('hub.tenant', true), '');

-- Close a table to everybody but its tenant, and to the reviewed functions that cross tenants.
create function hub.guard_table(name regclass, tenant_column text default 'tenant_id') returns void
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', name);
  execute format('alter table %s force row level security', name);
  execute format('create policy tenant on %s for all to hub_service using (%I = hub.tenant()) with check (%I = hub.tenant())',
                 name, tenant_column, tenant_column);
  execute format('create policy definer on %s for all to hub_definer using (true) with check (true)', name);
  execute format('grant select, insert, update, delete on %s to hub_definer', name);
end
$$;
revoke all on function hub.guard_table(regclass, text) from public;

-- Operator tables have no tenant: only the reviewed functions reach them.
create function hub.guard_operator_table(name regclass) returns void
  language plpgsql as $$
begin
  execute format('alter table %s enable row level security', name);
  execute format('alter table %s force row level security', name);
  execute format('create policy definer on %s for all to hub_definer using (true) with check (true)', name);
  execute format('grant select, insert, update, delete on %s to hub_definer', name);
end
$$;
revoke all on function hub.guard_operator_table(regclass) from public;
