-- What people and operators need beyond the first functions. Each reason stands above its function.

-- People have no tenant; a tenant sees those who are its members, and no one else.
create function hub.members_list()
  returns table (id text, email text, role text, operator boolean, totp boolean, created_at timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select u.id, u.email, m.role, u.operator, u.totp_sealed is not null, u.created_at
  from hub.memberships m join hub.users u on u.id = m.user_id
  where m.tenant_id = hub.tenant() order by u.id
$$;

-- A signed-in person's own row: to show it, to check a code, to enrol.
create function hub.user_find(p_user text)
  returns table (id text, email text, totp_sealed bytea, operator boolean)
  language sql stable security definer set search_path = pg_catalog as $$
  select u.id, u.email, u.totp_sealed, u.operator from hub.users u where u.id = p_user
$$;

-- People have no tenant; null takes the second factor away.
create function hub.user_totp_store(p_user text, p_sealed bytea) returns boolean
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  update hub.users u set totp_sealed = p_sealed where u.id = p_user;
  return found;
end
$$;

-- Lists of a tenant's newest things.
create index audit_log_time on hub.audit_log (tenant_id, at, id);

-- Handing a function over needs the new owner's right to create, for a moment.
grant create on schema hub to hub_definer;
do $$
declare
  f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'hub' and p.proname in ('members_list', 'user_find', 'user_totp_store') loop
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to hub_service', f);
    execute format('alter function %s owner to hub_definer', f);
  end loop;
end
$$;
revoke create on schema hub from hub_definer;
