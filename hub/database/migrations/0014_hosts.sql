-- Connections in sets: a process takes all of its connections in one statement, the Supervisor places and sweeps in one each.

-- What a host was given, with the seconds until the next message of each is due (null: none is).
create function hub.host_connections(p_host text)
  returns table (tenant_id text, connection text, provider text, wait double precision)
  language sql stable security definer set search_path = pg_catalog
  set enable_seqscan = off set enable_bitmapscan = off as $$
  select c.tenant_id, c.id, c.provider, extract(epoch from w.next_at - hub.clock())::double precision
  from hub.leases l
  join hub.connections c on c.tenant_id = l.tenant_id and c.id = l.connection
  left join lateral (
    select d.available_at as next_at from hub.due d
    where d.connection = l.connection and d.claimed_epoch is null
    order by d.available_at limit 1) w on true
  where l.host = p_host and c.status <> 'removed'
$$;

-- Become the owner of these connections, as hub.owner_activate does of one: epochs rise, what was claimed is suspect, poison is dead.
-- `suspects` says that some of its messages must run alone.
create function hub.host_take(p_host text, p_code_version text, p_connections text[])
  returns table (connection text, epoch bigint, quick_restarts integer, dead bigint[], suspects boolean)
  language plpgsql security definer set search_path = pg_catalog
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  v_now timestamptz := hub.clock();
  v_ids text[];
  v_dead bigint[];
begin
  -- In key order: two takers of the same connections meet in it.
  select array_agg(x.connection) into v_ids from (
    select l.connection from hub.leases l
    where l.connection = any (p_connections) and l.host = p_host order by l.connection for update) x;
  if v_ids is null then
    return;
  end if;
  update hub.leases l
  set epoch = l.epoch + 1, code_version = p_code_version, activated_at = v_now,
      quick_restarts = case when l.activated_at > v_now - interval '3 seconds' then l.quick_restarts + 1 else 0 end
  where l.connection = any (v_ids);
  update hub.due d
  set claimed_epoch = null, alone = false, suspect = true, deaths = d.deaths + case when d.alone then 1 else 0 end
  where d.connection = any (v_ids) and d.claimed_epoch is not null;
  with gone as (
    delete from hub.due d where d.connection = any (v_ids) and d.suspect and d.deaths >= 3 returning d.*
  ), stored as (
    insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, detail, tries, at)
    select g.tenant_id, g.id, g.connection, m.kind, g.subject, g.lane, g.at, 'poison',
      'its owner died three times while it ran alone', g.tries, v_now
    from gone g join hub.messages m on m.id = g.id and m.at = g.at
    on conflict (id) do update set reason = excluded.reason, detail = excluded.detail, at = excluded.at, resolution = null,
      resolved_at = null, resolved_by = null, why = null
    returning tenant_id, id, subject
  ), alerted as (
    insert into hub.alerts as t (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at)
    select s.tenant_id, 'alr_' || lpad(s.id::text, 26, '0'), 'poison/' || s.id, 'message.dead', 'critical', s.subject,
      'a message brought its owner down three times; replay or skip it', v_now, v_now
    from stored s
    on conflict (tenant_id, dedupe_key) where cleared_at is null do update set count = t.count + 1, seen_at = excluded.seen_at
  )
  select coalesce(array_agg(s.id), '{}') into v_dead from stored s;
  return query
  select l.connection::text, l.epoch, l.quick_restarts,
    (select coalesce(array_agg(x.id), '{}') from hub.dead_letters x where x.id = any (v_dead) and x.connection = l.connection),
    exists (select 1 from hub.due d where d.connection = l.connection and d.suspect)
  from hub.leases l where l.connection = any (v_ids);
end
$$;

-- The Supervisor gives connections to hosts. A move raises the epoch: from this commit on the old owner can write nothing.
create function hub.assign_hosts(p_connections text[], p_hosts text[], p_supervisor_epoch bigint) returns bigint
  language plpgsql security definer set search_path = pg_catalog
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_count bigint;
begin
  perform 1 from hub.singletons s where s.name = 'supervisor' and s.epoch = p_supervisor_epoch for share;
  if not found then
    return 0;
  end if;
  perform 1 from hub.leases l where l.connection = any (p_connections) order by l.connection for update;
  update hub.leases l
  set host = a.host, epoch = l.epoch + case when l.host is null then 0 else 1 end
  from unnest(p_connections, p_hosts) as a(connection, host)
  where l.connection = a.connection and l.host is distinct from a.host;
  get diagnostics v_count = row_count;
  return v_count;
end
$$;

create or replace function hub.assign_host(p_connection text, p_host text, p_supervisor_epoch bigint) returns boolean
  language sql security definer set search_path = pg_catalog as $$
  select hub.assign_hosts(array[p_connection], array[p_host], p_supervisor_epoch) > 0
$$;

-- Who has no host yet; a tenant's connections come together, so that they meet in one process where several share one.
create function hub.unplaced_connections(p_limit integer) returns table (tenant_id text, connection text)
  language sql stable security definer set search_path = pg_catalog as $$
  select l.tenant_id, l.connection
  from hub.leases l join hub.connections c on c.tenant_id = l.tenant_id and c.id = l.connection
  where l.host is null and c.status <> 'removed'
  order by l.tenant_id, l.connection limit p_limit
$$;

-- Every host with how many connections it has, and how many of them were taken by other code than this.
create function hub.host_loads(p_code_version text) returns table (host text, connections bigint, old bigint)
  language sql stable security definer set search_path = pg_catalog as $$
  select l.host, count(*), count(*) filter (where l.code_version not in ('', p_code_version))
  from hub.leases l join hub.connections c on c.tenant_id = l.tenant_id and c.id = l.connection
  where l.host is not null and c.status <> 'removed'
  group by l.host order by l.host
$$;

-- The sweep: active connections with work that nobody took. It steps from connection to connection over the due rows alone, so that
-- connections without any cost nothing and a backlog of one is one step.
create function hub.late_connections(p_older_than double precision)
  returns table (connection text, host text, oldest timestamptz)
  language sql stable security definer set search_path = pg_catalog
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
  with recursive c(connection) as (
    (select d.connection from hub.due d order by d.connection limit 1)
    union all
    select (select d.connection from hub.due d where d.connection > c.connection order by d.connection limit 1)
    from c where c.connection is not null
  )
  select c.connection::text, l.host, w.oldest
  from c cross join lateral (
    select d.available_at as oldest from hub.due d
    where d.connection = c.connection and d.claimed_epoch is null
    order by d.available_at limit 1) w
  join hub.leases l on l.connection = c.connection
  join hub.connections k on k.tenant_id = l.tenant_id and k.id = l.connection
  where l.host is not null and k.status = 'active' and w.oldest < hub.clock() - make_interval(secs => p_older_than)
$$;

-- Where wake-ups go.
create function hub.hosts_of(p_connections text[]) returns table (connection text, host text)
  language sql stable security definer set search_path = pg_catalog as $$
  select l.connection, l.host from hub.leases l where l.connection = any (p_connections) and l.host is not null
$$;

-- Handing a function over needs the new owner's right to create, for a moment.
grant create on schema hub to hub_definer;
do $$
declare
  f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'hub' and p.proname in ('host_connections', 'host_take', 'assign_hosts', 'unplaced_connections',
             'host_loads', 'late_connections', 'hosts_of') loop
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to hub_service', f);
    execute format('alter function %s owner to hub_definer', f);
  end loop;
end
$$;
revoke create on schema hub from hub_definer;
