-- The database's clock may be set back. What was put off while it ran ahead is then due when that time comes again, an hour late after an
-- hour's jump: it is brought back by as much. Being early harms nothing, since handlers look at the time themselves.

-- An owner saw the clock go back between two of its turns.
create function hub.owner_clock_back(p_tenant text, p_connection text, p_epoch bigint, p_seconds double precision) returns void
  language plpgsql as $$
declare
  v_now timestamptz := hub.clock();
begin
  perform set_config('hub.tenant', p_tenant, true);
  perform 1 from hub.leases l where l.connection = p_connection and l.epoch = p_epoch for share;
  if not found then
    raise exception 'the owner of % with epoch % was replaced', p_connection, p_epoch using errcode = 'HB001';
  end if;
  update hub.due d set available_at = greatest(v_now, d.available_at - make_interval(secs => p_seconds))
  where d.connection = p_connection and d.available_at > v_now;
  update hub.attempts a set started_at = v_now
  where a.connection = p_connection and a.outcome is null and a.started_at > v_now;
end
$$;
revoke all on function hub.owner_clock_back(text, text, bigint, double precision) from public;
grant execute on function hub.owner_clock_back(text, text, bigint, double precision) to hub_service;

-- The Scheduler looks for all: the highest time seen so far, and messages that came later than now, say whether the clock went back.
-- Crosses tenants, as the clock is everybody's; it gives nothing away but the seconds. Each message is evidence once.
create function hub.mend_clock() returns double precision
  language plpgsql security definer set search_path = pg_catalog as $$
declare
  v_now timestamptz := hub.clock();
  v_seen timestamptz;
  v_mended timestamptz;
  v_latest timestamptz;
  v_back interval;
begin
  insert into hub.singletons (name, holder, expires_at) values ('clock', '', v_now), ('clock mended', '', v_now) on conflict do nothing;
  select s.expires_at into v_seen from hub.singletons s where s.name = 'clock' for update;
  select s.expires_at into v_mended from hub.singletons s where s.name = 'clock mended' for update;
  select max(d.at) into v_latest from hub.due d;
  if v_latest > v_mended then
    v_seen := greatest(v_seen, v_latest);
  end if;
  update hub.singletons s set expires_at = v_now where s.name = 'clock';
  v_back := v_seen - v_now;
  if v_back < interval '2 seconds' then
    return 0;
  end if;
  update hub.singletons s set expires_at = greatest(v_seen, v_mended) where s.name = 'clock mended';
  update hub.due d set available_at = greatest(v_now, d.available_at - v_back) where d.available_at > v_now;
  update hub.attempts a set started_at = v_now where a.outcome is null and a.started_at > v_now;
  update hub.credentials k set refreshing_until = null where k.refreshing_until > v_now + interval '5 minutes';
  return extract(epoch from v_back);
end
$$;

-- A lease that ends later than anybody may hold one was taken by a clock that ran ahead: nobody has to wait for its end.
create or replace function hub.take_singleton(p_name text, p_holder text, p_seconds double precision) returns bigint
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
      or s.expires_at > hub.clock() + make_interval(secs => 2 * p_seconds)
  returning s.epoch into v_epoch;
  return v_epoch;
end
$$;

grant create on schema hub to hub_definer;
alter function hub.mend_clock() owner to hub_definer;
revoke create on schema hub from hub_definer;
revoke all on function hub.mend_clock() from public;
grant execute on function hub.mend_clock() to hub_service;
