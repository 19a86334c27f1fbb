-- The reviewed functions that cross tenants. Each says why; a test fails on one that is not listed in tests/integration.
-- All belong to hub_definer, whose own policies let it through, and pin their search_path.

-- Ingress has many tenants' facts in one batch; a policy would refuse a multi-row insert over two tenants.
create function hub.append_messages(
  p_tenant text[], p_connection text[], p_kind text[], p_subject text[], p_lane smallint[], p_dedupe_key text[], p_body bytea[],
  p_correlation text[]
) returns table (n bigint)
  language plpgsql security definer set search_path = pg_catalog
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_now timestamptz := hub.clock();
begin
  return query
  with want as materialized (
    select t.*, nextval('hub.message_ids') as id
    from (select * from unnest(p_tenant, p_connection, p_kind, p_subject, p_lane, p_dedupe_key, p_body, p_correlation)
          with ordinality as u(tenant_id, connection, kind, subject, lane, dedupe_key, body, correlation, n) order by u.n) t
  ), fresh as (
    insert into hub.facts (tenant_id, connection, dedupe_key, message, at)
    select w.tenant_id, w.connection, w.dedupe_key, w.id, v_now
    from want w order by w.connection, w.dedupe_key
    on conflict do nothing
    returning message
  ), joined as (
    select w.id as message, w.* from fresh f join want w on w.id = f.message
  ), stored as (
    insert into hub.messages (tenant_id, id, connection, kind, subject, dedupe_key, body, correlation, at)
    select j.tenant_id, j.message, j.connection, j.kind, j.subject, j.dedupe_key, j.body, j.correlation, v_now from joined j
  ), queued as (
    insert into hub.due (id, tenant_id, connection, subject, lane, at, available_at)
    select j.message, j.tenant_id, j.connection, j.subject, j.lane, v_now, v_now from joined j
  )
  select j.n from joined j;
end
$$;

-- A body that no adapter can read is kept, dead at once, under its digest.
create function hub.append_dead(p_tenant text, p_connection text, p_digest text, p_body bytea, p_detail text, p_correlation text,
                                p_alert text) returns boolean
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_now timestamptz := hub.clock();
  v_id bigint := nextval('hub.message_ids');
begin
  insert into hub.facts values (p_tenant, p_connection, 'body/' || p_digest, v_id, v_now) on conflict do nothing;
  if not found then
    return false;
  end if;
  insert into hub.messages values (p_tenant, v_id, p_connection, 'unreadable', 'body/' || p_digest, 'body/' || p_digest, p_body,
                                   p_correlation, v_now);
  insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, detail, tries, at)
  values (p_tenant, v_id, p_connection, 'unreadable', 'body/' || p_digest, 2, v_now, 'drifted', p_detail, 0, v_now);
  insert into hub.alerts as t (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at)
  values (p_tenant, p_alert, 'unreadable/' || p_connection, 'message.dead', 'warning', p_connection,
          'a signed body could not be read: ' || p_detail, v_now, v_now)
  on conflict (tenant_id, dedupe_key) where cleared_at is null
    do update set count = t.count + 1, seen_at = excluded.seen_at, detail = excluded.detail;
  return true;
end
$$;

-- A vendor's call knows a connection's id, not its tenant.
create function hub.route_connection(p_connection text)
  returns table (tenant_id text, connection text, provider text, status text, sealed bytea, provider_app text)
  language sql stable security definer set search_path = pg_catalog as $$
  select c.tenant_id, c.id, c.provider, c.status, k.sealed, c.provider_app
  from hub.connections c left join hub.credentials k on k.tenant_id = c.tenant_id and k.connection = c.id
  where c.id = p_connection and c.status <> 'removed'
$$;

-- An app-level call names a store; only a proven claim of that very app routes it.
create function hub.route_ingress(p_provider_app text, p_store_ref text)
  returns table (tenant_id text, connection text, status text)
  language sql stable security definer set search_path = pg_catalog as $$
  select s.tenant_id, s.connection, c.status
  from hub.store_claims s join hub.connections c on c.tenant_id = s.tenant_id and c.id = s.connection
  where s.provider_app = p_provider_app and s.store_ref = p_store_ref and s.proven_at is not null and c.status <> 'removed'
$$;

-- Connections that have an unproven claim on a store: a vendor's provisioning event proves the only one.
create function hub.prove_claim(p_provider_app text, p_store_ref text, p_proof text)
  returns table (tenant_id text, connection text)
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  if exists (select 1 from hub.store_claims s where s.provider_app = p_provider_app and s.store_ref = p_store_ref
             and s.proven_at is not null)
     or (select count(*) from hub.store_claims s where s.provider_app = p_provider_app and s.store_ref = p_store_ref) <> 1 then
    return;
  end if;
  return query
  update hub.store_claims s set proof = p_proof, proven_at = hub.clock()
  where s.provider_app = p_provider_app and s.store_ref = p_store_ref
  returning s.tenant_id, s.connection;
end
$$;

-- Keys of a provider's apps, to verify calls and to ask for the app's token.
create function hub.provider_app_keys(p_provider text)
  returns table (id text, provider text, environment text, name text, sealed bytea, credential text)
  language sql stable security definer set search_path = pg_catalog as $$
  select a.id, a.provider, a.environment, a.name, k.sealed, k.id
  from hub.provider_apps a join hub.credentials k on k.provider_app = a.id
  where p_provider = '' or a.provider = p_provider order by a.id
$$;

-- One partner app serves many tenants: its token is read and refreshed without one.
create function hub.app_credential(p_app text)
  returns table (id text, sealed bytea, token bytea, version integer, expires_at timestamptz, refreshing_until timestamptz,
                 now timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select k.id, k.sealed, k.token, k.version, k.expires_at, k.refreshing_until, hub.clock()
  from hub.credentials k where k.provider_app = p_app
$$;

create function hub.app_credential_lease(p_app text, p_version integer, p_seconds double precision) returns boolean
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  update hub.credentials k set refreshing_until = hub.clock() + make_interval(secs => p_seconds)
  where k.provider_app = p_app and k.version = p_version
    and (k.refreshing_until is null or k.refreshing_until < hub.clock());
  return found;
end
$$;

create function hub.app_credential_unlease(p_app text, p_version integer) returns void
  language sql security definer set search_path = pg_catalog as $$
  update hub.credentials set refreshing_until = null where provider_app = p_app and version = p_version
$$;

create function hub.app_credential_store(p_app text, p_version integer, p_token bytea, p_expires timestamptz) returns boolean
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  update hub.credentials k set token = p_token, expires_at = p_expires, version = k.version + 1, refreshing_until = null
  where k.provider_app = p_app and k.version = p_version;
  return found;
end
$$;

create function hub.provider_app_create(p_id text, p_provider text, p_environment text, p_name text, p_credential text,
                                        p_sealed bytea) returns void
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into hub.provider_apps (id, provider, environment, name) values (p_id, p_provider, p_environment, p_name);
  insert into hub.credentials (id, provider_app, sealed) values (p_credential, p_id, p_sealed);
end
$$;

-- The Supervisor places owners of all tenants.
create function hub.connections_to_place()
  returns table (tenant_id text, connection text, provider text, name text, status text, host text, epoch bigint,
                 code_version text)
  language sql stable security definer set search_path = pg_catalog as $$
  select c.tenant_id, c.id, c.provider, c.name, c.status, l.host, l.epoch, l.code_version
  from hub.connections c join hub.leases l on l.connection = c.id
  where c.status <> 'removed' order by c.id
$$;

create function hub.assign_host(p_connection text, p_host text, p_supervisor_epoch bigint) returns boolean
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  perform 1 from hub.singletons s where s.name = 'supervisor' and s.epoch = p_supervisor_epoch for share;
  if not found then
    return false;
  end if;
  update hub.leases l set host = p_host where l.connection = p_connection;
  return found;
end
$$;

create function hub.connections_of_host(p_host text)
  returns table (tenant_id text, connection text, provider text, status text)
  language sql stable security definer set search_path = pg_catalog as $$
  select c.tenant_id, c.id, c.provider, c.status
  from hub.leases l join hub.connections c on c.tenant_id = l.tenant_id and c.id = l.connection
  where l.host = p_host and c.status <> 'removed'
$$;

-- The sweep: who has work that nobody took (a lost hint), across tenants.
-- By connection and index, so that a backlog of one does not slow the sweep down; more than 1,000 are counted as 1,000.
create function hub.due_connections(p_older_than double precision)
  returns table (connection text, ready bigint, oldest timestamptz)
  language sql stable security definer set search_path = pg_catalog
  set enable_seqscan = off set enable_bitmapscan = off as $$
  select l.connection, w.ready, w.oldest
  from hub.leases l cross join lateral (
    select count(*) as ready, min(d.available_at) as oldest from (
      select x.available_at from hub.due x
      where x.connection = l.connection and x.claimed_epoch is null
        and x.available_at < hub.clock() - make_interval(secs => p_older_than)
      order by x.available_at limit 1000) d) w
  where w.ready > 0
$$;

-- A lease for a process that the cluster needs once; the epoch rises with each new holder.
create function hub.take_singleton(p_name text, p_holder text, p_seconds double precision) returns bigint
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_epoch bigint;
begin
  insert into hub.singletons as s (name, holder, expires_at)
  values (p_name, p_holder, hub.clock() + make_interval(secs => p_seconds))
  on conflict (name) do update
    set holder = excluded.holder, expires_at = excluded.expires_at,
        epoch = s.epoch + case when s.holder = excluded.holder then 0 else 1 end
    where s.holder = excluded.holder or s.expires_at < hub.clock()
  returning s.epoch into v_epoch;
  return v_epoch;
end
$$;

create function hub.release_singleton(p_name text, p_holder text) returns void
  language sql security definer set search_path = pg_catalog as $$
  update hub.singletons set expires_at = hub.clock() - interval '1 second' where name = p_name and holder = p_holder
$$;

-- Figures for operators, over all tenants, without names.
create function hub.operator_figures()
  returns table (ready bigint, oldest_due timestamptz, dead bigint, open_orders bigint, past_deadline bigint, now timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select (select count(*) from hub.due d where d.available_at <= hub.clock()),
    (select min(d.available_at) from hub.due d where d.available_at <= hub.clock()),
    (select count(*) from hub.dead_letters l where l.resolved_at is null),
    (select count(*) from hub.orders o where o.state not in ('completed', 'cancelled', 'rejected', 'failed')),
    (select count(*) from hub.orders o where o.state = 'received' and o.deadline_at < hub.clock()),
    hub.clock()
$$;

-- The Scheduler's safety net: orders near or past their deadline that nobody decided.
create function hub.undecided_orders(p_within double precision)
  returns table (tenant_id text, id text, delivery_connection text, platform_order_id text, location text, deadline_at timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select o.tenant_id, o.id, o.delivery_connection, o.platform_order_id, o.location, o.deadline_at
  from hub.orders o where o.state = 'received' and o.deadline_at < hub.clock() + make_interval(secs => p_within)
  order by o.deadline_at limit 500
$$;

-- Retention: a day key that is gone erases what it sealed; facts and messages leave in chunks.
create function hub.retain(p_body_days integer, p_chunk integer) returns table (day_keys bigint, messages bigint, answers bigint)
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  delete from hub.day_keys where day < (hub.clock() - make_interval(days => p_body_days))::date;
  get diagnostics day_keys = row_count;
  delete from hub.messages where (id, at) in (
    select m.id, m.at from hub.messages m
    where m.at < hub.clock() - make_interval(days => p_body_days)
      and not exists (select 1 from hub.due d where d.id = m.id)
      and not exists (select 1 from hub.dead_letters l where l.id = m.id and l.resolved_at is null)
    limit p_chunk);
  get diagnostics messages = row_count;
  delete from hub.idempotency_keys where (tenant_id, key) in (
    select i.tenant_id, i.key from hub.idempotency_keys i where i.at < hub.clock() - interval '2 days' limit p_chunk);
  get diagnostics answers = row_count;
  return next;
end
$$;

-- Partitions of messages are made ahead, by day; the default one catches clocks that jump.
create function hub.prepare_partitions(p_days integer) returns integer
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_day date;
  v_name text;
  v_made integer := 0;
begin
  for v_day in select (hub.clock() at time zone 'UTC')::date + n from generate_series(0, p_days) n loop
    v_name := 'messages_' || to_char(v_day, 'YYYYMMDD');
    if to_regclass('hub.' || v_name) is null
       and not exists (select 1 from hub.messages_default where at >= v_day::timestamp at time zone 'UTC'
                       and at < (v_day + 1)::timestamp at time zone 'UTC') then
      execute format('create table hub.%I partition of hub.messages for values from (%L) to (%L)', v_name,
        v_day::timestamp at time zone 'UTC', (v_day + 1)::timestamp at time zone 'UTC');
      v_made := v_made + 1;
    end if;
  end loop;
  return v_made;
end
$$;

-- Login and key look-up happen before a tenant is known.
create function hub.find_login(p_email text)
  returns table (user_id text, password_hash text, totp_sealed bytea, operator boolean, tenant_id text, role text)
  language sql stable security definer set search_path = pg_catalog as $$
  select u.id, u.password_hash, u.totp_sealed, u.operator, m.tenant_id, m.role
  from hub.users u left join hub.memberships m on m.user_id = u.id
  where u.email = lower(p_email) order by m.tenant_id
$$;

create function hub.find_api_key(p_hash bytea) returns table (tenant_id text, id text, role text)
  language sql stable security definer set search_path = pg_catalog as $$
  select k.tenant_id, k.id, k.role from hub.api_keys k where k.key_hash = p_hash and k.revoked_at is null
$$;

create function hub.session_create(p_id text, p_user text, p_tenant text, p_hash bytea, p_seconds double precision) returns void
  language sql security definer set search_path = pg_catalog as $$
  insert into hub.sessions (id, user_id, tenant_id, token_hash, expires_at)
  values (p_id, p_user, p_tenant, p_hash, hub.clock() + make_interval(secs => p_seconds))
$$;

-- Rotate a refresh token. A token that was used before revokes its whole family: somebody else has it.
create function hub.session_rotate(p_id text, p_hash bytea, p_new_hash bytea)
  returns table (outcome text, user_id text, tenant_id text, role text, operator boolean)
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  v hub.sessions;
begin
  select * into v from hub.sessions s where s.id = p_id for update;
  if not found or v.revoked_at is not null or v.expires_at < hub.clock() then
    outcome := 'unknown';
    return next;
    return;
  end if;
  if v.token_hash <> p_hash then
    update hub.sessions s set revoked_at = hub.clock() where s.id = p_id;
    outcome := 'reused';
    return next;
    return;
  end if;
  update hub.sessions s set token_hash = p_new_hash, generation = s.generation + 1 where s.id = p_id;
  return query select 'rotated'::text, u.id::text, v.tenant_id::text, m.role, u.operator
    from hub.users u join hub.memberships m on m.user_id = u.id and m.tenant_id = v.tenant_id where u.id = v.user_id;
end
$$;

create function hub.session_revoke(p_id text) returns boolean
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  update hub.sessions s set revoked_at = hub.clock() where s.id = p_id and s.revoked_at is null;
  return found;
end
$$;

create function hub.session_alive(p_id text) returns boolean
  language sql stable security definer set search_path = pg_catalog as $$
  select exists (select 1 from hub.sessions s where s.id = p_id and s.revoked_at is null and s.expires_at > hub.clock())
$$;

-- `hub admin` and operators make tenants and people.
create function hub.tenant_create(p_id text, p_name text, p_demo boolean) returns void
  language sql security definer set search_path = pg_catalog as $$
  insert into hub.tenants (id, name, demo) values (p_id, p_name, p_demo)
$$;

create function hub.tenants_list() returns table (id text, name text, demo boolean, created_at timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select t.id, t.name, t.demo, t.created_at from hub.tenants t order by t.id
$$;

create function hub.user_create(p_id text, p_email text, p_hash text, p_operator boolean, p_tenant text, p_role text) returns text
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_id text;
begin
  insert into hub.users as u (id, email, password_hash, operator) values (p_id, lower(p_email), p_hash, p_operator)
  on conflict (email) do update set password_hash = excluded.password_hash, operator = u.operator or excluded.operator
  returning u.id into v_id;
  if p_tenant is not null then
    insert into hub.memberships (tenant_id, user_id, role) values (p_tenant, v_id, p_role)
    on conflict (tenant_id, user_id) do update set role = excluded.role;
  end if;
  return v_id;
end
$$;

-- Unrouted calls and the operator's own alerts have no tenant.
create function hub.store_unrouted(p_provider text, p_app text, p_store_ref text, p_reason text, p_digest bytea, p_sealed bytea,
                                   p_correlation text, p_alert text) returns void
  language plpgsql security definer set search_path = pg_catalog as $$
begin
  insert into hub.unrouted_events as u (provider, provider_app, store_ref, reason, digest, sealed, correlation, at)
  values (p_provider, p_app, p_store_ref, p_reason, p_digest, p_sealed, p_correlation, hub.clock())
  on conflict (provider_app, digest) do update set count = u.count + 1, at = excluded.at;
  insert into hub.operator_alerts as a (id, dedupe_key, kind, detail, raised_at, seen_at)
  values (p_alert, 'unrouted/' || p_app || '/' || p_store_ref, 'ingress.unrouted',
          p_provider || ' sent an event for store ' || p_store_ref || ': ' || p_reason, hub.clock(), hub.clock())
  on conflict (dedupe_key) where cleared_at is null do update set count = a.count + 1, seen_at = excluded.seen_at;
end
$$;

create function hub.operator_alert(p_id text, p_dedupe_key text, p_kind text, p_detail text) returns void
  language sql security definer set search_path = pg_catalog as $$
  insert into hub.operator_alerts as a (id, dedupe_key, kind, detail, raised_at, seen_at)
  values (p_id, p_dedupe_key, p_kind, p_detail, hub.clock(), hub.clock())
  on conflict (dedupe_key) where cleared_at is null
    do update set count = a.count + 1, seen_at = excluded.seen_at, detail = excluded.detail
$$;

create function hub.operator_alerts_open()
  returns table (id text, kind text, detail text, count integer, raised_at timestamptz, seen_at timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select a.id, a.kind, a.detail, a.count, a.raised_at, a.seen_at from hub.operator_alerts a where a.cleared_at is null order by a.id
$$;

create function hub.unrouted_list(p_limit integer)
  returns table (id bigint, provider text, provider_app text, store_ref text, reason text, count integer, at timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select u.id, u.provider, u.provider_app, u.store_ref, u.reason, u.count, u.at from hub.unrouted_events u
  order by u.id desc limit p_limit
$$;

-- An operator approves a claim: unique per app among proven ones. A second claim alerts and never reroutes.
create function hub.claim_approve(p_claim text, p_alert text) returns text
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  v hub.store_claims;
begin
  select * into v from hub.store_claims s where s.id = p_claim for update;
  if not found then
    return 'unknown';
  end if;
  if v.proven_at is not null then
    return 'proven';
  end if;
  if exists (select 1 from hub.store_claims s where s.provider_app = v.provider_app and s.store_ref = v.store_ref
             and s.proven_at is not null) then
    perform hub.operator_alert(p_alert, 'claim/' || v.provider_app || '/' || v.store_ref, 'store.claimed_twice',
      'store ' || v.store_ref || ' is claimed by a second connection; the proven claim stands');
    return 'taken';
  end if;
  update hub.store_claims s set proof = 'operator', proven_at = hub.clock() where s.id = p_claim;
  return 'proven';
end
$$;

create function hub.claims_list(p_proven boolean)
  returns table (id text, tenant_id text, provider text, provider_app text, connection text, store_ref text, proof text,
                 proven_at timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select s.id, s.tenant_id, s.provider, s.provider_app, s.connection, s.store_ref, s.proof, s.proven_at
  from hub.store_claims s where (s.proven_at is not null) = p_proven order by s.id
$$;

create function hub.day_key_of(p_tenant text, p_day date, p_sealed bytea) returns bytea
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_sealed bytea;
begin
  -- Nothing to store means: only look; a key that retention deleted stays deleted.
  if length(p_sealed) > 0 then
    insert into hub.day_keys (tenant_id, day, sealed) values (p_tenant, p_day, p_sealed) on conflict do nothing;
  end if;
  select k.sealed into v_sealed from hub.day_keys k where k.tenant_id = p_tenant and k.day = p_day;
  return v_sealed;
end
$$;

-- Handing a function over needs the new owner's right to create, for a moment.
grant create on schema hub to hub_definer;
do $$
declare
  f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'hub' and p.prosecdef loop
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to hub_service', f);
    execute format('alter function %s owner to hub_definer', f);
  end loop;
end
$$;
revoke create on schema hub from hub_definer;
-- A partition must belong to the owner of its parent, and so the function that makes it does.
alter function hub.prepare_partitions(integer) owner to current_user;
grant usage on all sequences in schema hub to hub_service, hub_definer;
select hub.prepare_partitions(3);
