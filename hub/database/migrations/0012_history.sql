-- Tables that stay as fast as they were: fewer and steadier indexes, vacuum that keeps up, and an end for what has no use any more.
-- On a filled database the column `ended` rewrites hub.orders once, under a lock: see docs/adr/0008 for how long.

-- Nothing reads by these; each cost an entry for every row.
drop index hub.messages_connection;
drop index hub.attempts_order;

-- An index that names `state`, be it in its predicate, makes every change of it touch all of the row's indexes. `ended` is null until the
-- order is over and changes once in its life: the changes before are made inside the page.
alter table hub.orders add column ended text
  generated always as (case when state in ('completed', 'cancelled', 'rejected', 'failed') then state end) stored;
drop index hub.orders_open;
create index orders_open on hub.orders (delivery_connection, deadline_at) where ended is null;
create index orders_open_pos on hub.orders (pos_connection) where ended is null;
create index orders_open_placed on hub.orders (tenant_id, placed_at, id) where ended is null;
-- Of what is over, some ends are rare.
create index orders_ended on hub.orders (tenant_id, ended, placed_at, id) where ended is not null;

-- Vacuum by number of dead rows, not by a share of a table that only grows.
alter table hub.orders set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000,
                            autovacuum_analyze_scale_factor = 0.02, autovacuum_analyze_threshold = 1000);
alter table hub.attempts set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
alter table hub.events set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
                            autovacuum_analyze_scale_factor = 0.05);
alter table hub.facts set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 50000,
                           autovacuum_analyze_scale_factor = 0.05);
-- Small rows that are written over and over: room in the page for the next version, and a vacuum after few of them.
alter table hub.leases set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table hub.singletons set (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table hub.credentials set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
alter table hub.stock set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
alter table hub.vendor_stores set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
alter table hub.alerts set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);
alter table hub.dead_letters set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500);

-- Partitions inherit neither row security nor storage settings. Rows of a day are never changed and leave with it: a vacuum of
-- them is work for nothing.
create function hub.guard_partition(name regclass) returns void
  language plpgsql set search_path = pg_catalog as $$
begin
  execute format('alter table %s enable row level security', name);
  execute format('alter table %s force row level security', name);
  execute format('create policy definer on %s for all to hub_definer using (true) with check (true)', name);
  execute format('grant select, delete on %s to hub_definer', name);
  execute format('alter table %s set (autovacuum_vacuum_insert_threshold = -1)', name);
end
$$;
revoke all on function hub.guard_partition(regclass) from public;
select hub.guard_partition(i.inhrelid::regclass) from pg_inherits i where i.inhparent = 'hub.messages'::regclass;

create or replace function hub.prepare_partitions(p_days integer) returns integer
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
      perform hub.guard_partition(to_regclass('hub.' || v_name));
      v_made := v_made + 1;
    end if;
  end loop;
  return v_made;
end
$$;

-- Crosses tenants: the oldest day of messages that is past its time leaves as a whole. What of it is still due, or dead and open, moves to
-- the default partition; where that is very much, the day stays until it is less. Belongs to the owner of the table, as dropping needs.
-- Inserts wait behind its lock, so it gives up soon; the next round tries again.
create function hub.drop_old_messages(p_days integer) returns text
  language plpgsql security definer set search_path = pg_catalog set lock_timeout = '200ms' as $$
declare
  v_before date := ((hub.clock() - make_interval(days => p_days)) at time zone 'UTC')::date;
  v_name text;
  v_day date;
  v_ids bigint[];
  v_kept hub.messages[];
begin
  for v_name, v_day in
    select c.relname, to_date(right(c.relname, 8), 'YYYYMMDD') from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'hub.messages'::regclass and c.relname ~ '^messages_\d{8}$' order by c.relname
  loop
    exit when v_day >= v_before;
    select array_agg(k.id) into v_ids from (
      (select d.id from hub.due d
       where d.at >= v_day::timestamp at time zone 'UTC' and d.at < (v_day + 1)::timestamp at time zone 'UTC' limit 1001)
      union all
      (select l.id from hub.dead_letters l where l.resolved_at is null
         and l.message_at >= v_day::timestamp at time zone 'UTC' and l.message_at < (v_day + 1)::timestamp at time zone 'UTC' limit 1001)
    ) k;
    continue when cardinality(v_ids) > 1000;
    lock table hub.messages in access exclusive mode;
    v_kept := null;
    if v_ids is not null then
      execute format('select array_agg(m::hub.messages) from hub.%I m where m.id = any ($1)', v_name) into v_kept using v_ids;
    end if;
    execute format('drop table hub.%I', v_name);
    insert into hub.messages select * from unnest(v_kept);
    return v_name;
  end loop;
  return null;
end
$$;

-- Up to where a tenant's events have left: whoever reads on from an earlier place missed some.
create table hub.event_floors (
  tenant_id text collate "C" primary key references hub.tenants,
  xid xid8 not null,
  id bigint not null
);
select hub.guard_table('hub.event_floors');
grant select on hub.event_floors to hub_service;

-- Crosses tenants: each tenant's oldest events leave in the order in which they are read, up to p_chunk in a call. `next` is the tenant to go on with.
create function hub.retain_events(p_days integer, p_from text, p_chunk integer, out gone bigint, out next text)
  language plpgsql security definer set search_path = pg_catalog
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_cutoff timestamptz := hub.clock() - make_interval(days => p_days);
  v_tenant text;
  v_floor record;
  v_first timestamptz;
  v_places record;
begin
  gone := 0;
  for v_tenant in select t.id from hub.tenants t where t.id >= p_from order by t.id loop
    select coalesce(max(f.xid), '0') as xid, coalesce(max(f.id), 0) as id into v_floor from hub.event_floors f where f.tenant_id = v_tenant;
    select e.at into v_first from hub.events e
    where e.tenant_id = v_tenant and (e.xid, e.id) > (v_floor.xid, v_floor.id) order by e.xid, e.id limit 1;
    continue when v_first is null or v_first >= v_cutoff;
    with page as materialized (
      select p.*, row_number() over (order by p.xid, p.id) as n from (
        select e.xid, e.id, e.at from hub.events e
        where e.tenant_id = v_tenant and (e.xid, e.id) > (v_floor.xid, v_floor.id) order by e.xid, e.id limit p_chunk - gone) p
    ), old as materialized (
      select p.xid, p.id, p.n from page p
      where p.n < coalesce((select min(x.n) from page x where x.at >= v_cutoff), p_chunk + 1)
    ), deleted as (
      delete from hub.events e using old o where e.tenant_id = v_tenant and e.xid = o.xid and e.id = o.id
    )
    select o.xid, o.id, o.n into v_places from old o order by o.n desc limit 1;
    insert into hub.event_floors as f (tenant_id, xid, id) values (v_tenant, v_places.xid, v_places.id)
    on conflict (tenant_id) do update set xid = excluded.xid, id = excluded.id;
    gone := gone + v_places.n;
    if gone >= p_chunk then
      next := v_tenant;
      return;
    end if;
  end loop;
end
$$;

-- Crosses tenants: a table's outlived rows leave page by page, in the order they lie on disk, so that no index is kept for their leaving alone.
-- `next` is the block to go on from, null at the end. Each table has its own reason to keep a row.
create function hub.retain_blocks(p_table text, p_days integer, p_from bigint, p_blocks integer, out gone bigint, out next bigint)
  language plpgsql security definer set search_path = pg_catalog
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  v_end bigint;
  v_cutoff timestamptz := hub.clock() - make_interval(days => p_days);
  v_low tid := format('(%s,0)', p_from)::tid;
  v_high tid := format('(%s,0)', p_from + p_blocks)::tid;
begin
  if p_table = 'facts' then
    -- The fact of a message that is still to be handled, or that a person is asked about, says that it was told.
    delete from hub.facts f where f.ctid >= v_low and f.ctid < v_high and f.at < v_cutoff
      and not exists (select 1 from hub.due d where d.id = f.message)
      and not exists (select 1 from hub.dead_letters l where l.id = f.message and l.resolved_at is null);
  elsif p_table = 'messages_default' then
    delete from hub.messages_default m where m.ctid >= v_low and m.ctid < v_high and m.at < v_cutoff
      and not exists (select 1 from hub.due d where d.id = m.id)
      and not exists (select 1 from hub.dead_letters l where l.id = m.id and l.resolved_at is null);
  elsif p_table = 'attempts' then
    -- A write whose end nobody knows stays, and so do those of an order that goes on.
    delete from hub.attempts a where a.ctid >= v_low and a.ctid < v_high and a.started_at < v_cutoff and a.outcome is not null
      and not exists (select 1 from hub.orders o where o.tenant_id = a.tenant_id and o.id = a.order_id and o.ended is null);
  elsif p_table = 'dead_letters' then
    delete from hub.dead_letters l where l.ctid >= v_low and l.ctid < v_high and l.resolved_at < v_cutoff
      and not exists (select 1 from hub.due d where d.id = l.id);
  elsif p_table = 'tombstones' then
    delete from hub.tombstones t where t.ctid >= v_low and t.ctid < v_high and t.at < v_cutoff;
  elsif p_table = 'alerts' then
    delete from hub.alerts a where a.ctid >= v_low and a.ctid < v_high and a.cleared_at < v_cutoff;
  elsif p_table = 'operator_alerts' then
    delete from hub.operator_alerts a where a.ctid >= v_low and a.ctid < v_high and a.cleared_at < v_cutoff;
  elsif p_table = 'idempotency_keys' then
    delete from hub.idempotency_keys k where k.ctid >= v_low and k.ctid < v_high and k.at < v_cutoff;
  elsif p_table = 'sessions' then
    delete from hub.sessions s where s.ctid >= v_low and s.ctid < v_high and least(s.expires_at, s.revoked_at) < v_cutoff;
  elsif p_table = 'oauth_states' then
    delete from hub.oauth_states s where s.ctid >= v_low and s.ctid < v_high and s.expires_at < v_cutoff;
  elsif p_table = 'unrouted_events' then
    delete from hub.unrouted_events u where u.ctid >= v_low and u.ctid < v_high and u.at < v_cutoff;
  else
    raise exception 'no retention is known for table %', p_table;
  end if;
  get diagnostics gone = row_count;
  v_end := pg_relation_size(('hub.' || p_table)::regclass) / current_setting('block_size')::bigint;
  next := case when p_from + p_blocks < v_end then p_from + p_blocks end;
end
$$;

-- A day key that is gone erases what it sealed.
create function hub.retain_day_keys(p_days integer) returns bigint
  language sql security definer set search_path = pg_catalog as $$
  with gone as (
    delete from hub.day_keys where day < ((hub.clock() - make_interval(days => p_days)) at time zone 'UTC')::date returning 1)
  select count(*) from gone
$$;

-- Figures for operators, over all tenants, without names: what is counted is what is open, never history.
create or replace function hub.operator_figures()
  returns table (ready bigint, oldest_due timestamptz, dead bigint, open_orders bigint, past_deadline bigint, now timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select (select count(*) from hub.due d where d.available_at <= hub.clock()),
    (select min(d.available_at) from hub.due d where d.available_at <= hub.clock()),
    (select count(*) from hub.dead_letters l where l.resolved_at is null),
    (select count(*) from hub.orders o where o.ended is null),
    (select count(*) from hub.orders o where o.ended is null and o.state = 'received' and o.deadline_at < hub.clock()),
    hub.clock()
$$;

create or replace function hub.undecided_orders(p_within double precision)
  returns table (tenant_id text, id text, delivery_connection text, platform_order_id text, location text, deadline_at timestamptz)
  language sql stable security definer set search_path = pg_catalog as $$
  select o.tenant_id, o.id, o.delivery_connection, o.platform_order_id, o.location, o.deadline_at
  from hub.orders o where o.ended is null and o.state = 'received' and o.deadline_at < hub.clock() + make_interval(secs => p_within)
  order by o.deadline_at limit 500
$$;

-- Handing a function over needs the new owner's right to create, for a moment.
grant create on schema hub to hub_definer;
do $$
declare
  f regprocedure;
begin
  for f in select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
           where n.nspname = 'hub' and p.proname in ('drop_old_messages', 'retain_events', 'retain_blocks', 'retain_day_keys') loop
    execute format('revoke all on function %s from public', f);
    execute format('grant execute on function %s to hub_service', f);
  end loop;
end
$$;
alter function hub.retain_events(integer, text, integer) owner to hub_definer;
alter function hub.retain_blocks(text, integer, bigint, integer) owner to hub_definer;
alter function hub.retain_day_keys(integer) owner to hub_definer;
revoke create on schema hub from hub_definer;
