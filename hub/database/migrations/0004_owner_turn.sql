-- An owner's whole turn in one call and one transaction: fence, apply what finished, claim what is next.
-- Runs with the caller's rights under row security. Unknown to it: what anything means; hub/mailbox/turn.py decides that.

create type hub.turn_row as (
  row_kind text,        -- 'turn' once, then 'claim' for each claimed message
  message bigint,
  kind text,
  subject text,
  lane smallint,
  body bytea,
  dedupe_key text,
  correlation text,
  at timestamptz,
  deadline_at timestamptz,
  tries integer,
  alone boolean,
  order_row jsonb,
  order_body bytea,
  consumer_key bytea,
  attempts jsonb,
  tombstone boolean,
  result jsonb
);

create function hub.message_insert(p_tenant text, p_messages jsonb, p_now timestamptz) returns text[]
  language plpgsql as $$
declare
  woken text[];
begin
  -- Sorted by key: two owners that write to one mailbox meet in the same order.
  -- Numbered as they were given, so that a subject keeps their order.
  with want as materialized (
    select m.*, nextval('hub.message_ids') as id from (
      select j.* from jsonb_array_elements(p_messages) with ordinality as e(value, n),
        jsonb_to_record(e.value) as j(
          connection text, kind text, subject text, lane smallint, dedupe_key text, body text, correlation text,
          available_at timestamptz, deadline_at timestamptz, reopen boolean)
      order by e.n) m
  ), fresh as (
    insert into hub.facts (tenant_id, connection, dedupe_key, message, at)
    select p_tenant, w.connection, w.dedupe_key, w.id, p_now from want w order by w.connection, w.dedupe_key
    on conflict do nothing
    returning connection, dedupe_key, message
  ), stored as (
    insert into hub.messages (tenant_id, id, connection, kind, subject, dedupe_key, body, correlation, at)
    select p_tenant, w.id, w.connection, w.kind, w.subject, w.dedupe_key, decode(w.body, 'base64'), w.correlation, p_now
    from fresh f join want w on w.id = f.message
    returning id
  ), queued as (
    insert into hub.due (id, tenant_id, connection, subject, lane, at, available_at, deadline_at)
    select w.id, p_tenant, w.connection, w.subject, w.lane, p_now, coalesce(w.available_at, p_now), w.deadline_at
    from fresh f join want w on w.id = f.message
    returning connection
  )
  select array_agg(distinct connection) into woken from queued;

  -- A fact whose message is dead comes to life again when somebody found it anew; a skipped one never.
  if p_messages @? '$[*] ? (@.reopen == true)' then
    with again as (
      update hub.dead_letters d set resolution = 'reopened', resolved_at = p_now, resolved_by = 'reconcile'
      from hub.facts f, jsonb_to_recordset(p_messages) as w(connection text, dedupe_key text, reopen boolean)
      where w.reopen and f.connection = w.connection and f.dedupe_key = w.dedupe_key
        and d.id = f.message and d.resolved_at is null
      returning d.*
    )
    insert into hub.due (id, tenant_id, connection, subject, lane, at, available_at)
    select id, tenant_id, connection, subject, lane, message_at, p_now from again
    on conflict do nothing;
  end if;
  return coalesce(woken, '{}');
end
$$;

create function hub.owner_turn(
  p_tenant text, p_connection text, p_epoch bigint, p_items jsonb, p_room integer, p_held bigint[]
) returns setof hub.turn_row
  language plpgsql as $$
declare
  v_now timestamptz;
  v_missed integer[] := '{}';
  v_good jsonb;
  v_woken text[] := '{}';
  v_next timestamptz;
  v_suspects boolean;
  v_room integer := p_room;
  v_ids bigint[];
  v_alone boolean := false;
  v_row hub.turn_row;
  v_status text;
  v_keys text[];
  v_item jsonb;
  v_rec record;
begin
  perform set_config('hub.tenant', p_tenant, true);
  perform 1 from hub.leases l where l.connection = p_connection and l.epoch = p_epoch for share;
  if not found then
    raise exception 'the owner of % with epoch % was replaced', p_connection, p_epoch using errcode = 'HB001';
  end if;
  v_now := hub.clock();

  if jsonb_array_length(p_items) > 0 then
    -- Decide which items still hold. Order rows are locked in key order.
    select array_agg(i.value #>> '{order,id}') into v_keys from jsonb_array_elements(p_items) i;
    perform 1 from hub.orders o where o.tenant_id = p_tenant and o.id = any (v_keys) order by o.id for update;
    select coalesce(array_agg((i.value ->> 'n')::integer), '{}') into v_missed
    from jsonb_array_elements(p_items) i
    where (i.value #>> '{order,op}' in ('update', 'guard') and not exists (
             select 1 from hub.orders o where o.tenant_id = p_tenant and o.id = i.value #>> '{order,id}'
               and o.version = (i.value #>> '{order,version}')::integer))
       or (i.value #>> '{order,op}' = 'insert' and (
             exists (select 1 from hub.tombstones t where t.connection = p_connection
                       and t.platform_order_id = i.value #>> '{order,platform_order_id}')
             or exists (select 1 from hub.orders o where o.delivery_connection = p_connection
                       and o.platform_order_id = i.value #>> '{order,platform_order_id}')))
       or (i.value ? 'tombstone' and (
             exists (select 1 from hub.orders o where o.delivery_connection = p_connection
                       and o.platform_order_id = i.value ->> 'tombstone')
             or exists (select 1 from jsonb_array_elements(p_items) j where j.value #>> '{order,op}' = 'insert'
                       and j.value #>> '{order,platform_order_id}' = i.value ->> 'tombstone')));

    -- What an attempt found at the vendor is true whatever became of the item.
    for v_item in select i.value -> 'attempts_closed' from jsonb_array_elements(p_items) i where i.value ? 'attempts_closed' loop
      for v_rec in select * from jsonb_to_recordset(v_item) as r(
          subject text, step text, generation integer, outcome text, vendor_ref text, data jsonb, detail text) loop
        update hub.attempts a
        set outcome = v_rec.outcome, finished_at = v_now, vendor_ref = v_rec.vendor_ref, data = v_rec.data, detail = v_rec.detail
        where a.connection = p_connection and a.subject = v_rec.subject and a.step = v_rec.step and a.generation = v_rec.generation;
      end loop;
    end loop;

    -- A missed item is decided anew: its message can be claimed again, in this very turn.
    if cardinality(v_missed) > 0 then
      select array_agg((i.value ->> 'message')::bigint) into v_ids
      from jsonb_array_elements(p_items) i where (i.value ->> 'n')::integer = any (v_missed);
      update hub.due d set claimed_epoch = null where d.id = any (v_ids);
    end if;

    select coalesce(jsonb_agg(i.value), '[]') into v_good
    from jsonb_array_elements(p_items) i where (i.value ->> 'n')::integer <> all (v_missed);

    if jsonb_array_length(v_good) > 0 then
      insert into hub.consumers (tenant_id, id, sealed_key)
      select p_tenant, o.consumer, decode(o.consumer_key, 'base64')
      from jsonb_array_elements(v_good) i, jsonb_to_record(i.value -> 'order') as o(op text, consumer text, consumer_key text)
      where o.op = 'insert' on conflict do nothing;

      insert into hub.orders (tenant_id, id, link, location, platform, platform_order_id, delivery_connection, pos, pos_connection,
        state, decision, body, consumer, display_id, totals, not_carried, attention, menu_version, correlation, placed_at,
        deadline_at, created_at, updated_at)
      select p_tenant, o.id, o.link, o.location, o.platform, o.platform_order_id, p_connection, o.pos, o.pos_connection,
        o.state, coalesce(o.decision, ''), decode(o.body, 'base64'), o.consumer, o.display_id, o.totals, o.not_carried, o.attention,
        o.menu_version, o.correlation, o.placed_at, o.deadline_at, v_now, v_now
      from jsonb_array_elements(v_good) i, jsonb_to_record(i.value -> 'order') as o(
        op text, id text, link text, location text, platform text, platform_order_id text, pos text, pos_connection text,
        state text, decision text, body text, consumer text, display_id text, totals jsonb, not_carried jsonb, attention jsonb,
        menu_version integer, correlation text, placed_at timestamptz, deadline_at timestamptz)
      where o.op = 'insert' order by o.id;

      for v_item in select i.value -> 'order' from jsonb_array_elements(v_good) i where i.value #>> '{order,op}' = 'update' loop
        select * into v_rec from jsonb_to_record(v_item) as r(
          id text, state text, decision text, generation integer, pos_order_id text, not_carried jsonb, attention jsonb);
        update hub.orders t
        set version = t.version + 1, updated_at = v_now,
            state = coalesce(v_rec.state, t.state),
            decision = coalesce(v_rec.decision, t.decision),
            generation = coalesce(v_rec.generation, t.generation),
            pos_order_id = coalesce(v_rec.pos_order_id, t.pos_order_id),
            not_carried = coalesce(v_rec.not_carried, t.not_carried),
            attention = case when v_item ? 'attention' then nullif(v_rec.attention, 'null'::jsonb) else t.attention end
        where t.tenant_id = p_tenant and t.id = v_rec.id;
      end loop;

      insert into hub.tombstones (tenant_id, connection, platform_order_id, at)
      select p_tenant, p_connection, i.value ->> 'tombstone', v_now
      from jsonb_array_elements(v_good) i where i.value ? 'tombstone' on conflict do nothing;

      -- The same step of the same generation is the same effect: its frozen request stays.
      insert into hub.attempts (tenant_id, connection, subject, step, generation, order_id, repeat, idempotency_key, request,
        sealed_with, timeout_seconds, epoch, started_at, first_started_at)
      select p_tenant, p_connection, a.subject, a.step, a.generation, a.order_id, a.repeat, a.idempotency_key,
        decode(a.request, 'base64'), a.sealed_with, a.timeout_seconds, p_epoch, v_now, v_now
      from jsonb_array_elements(v_good) i, jsonb_to_recordset(coalesce(i.value -> 'attempts_opened', '[]')) as a(
        subject text, step text, generation integer, order_id text, repeat text, idempotency_key text, request text,
        sealed_with text, timeout_seconds real)
      on conflict (connection, subject, step, generation) do update
        set epoch = excluded.epoch, started_at = excluded.started_at, sends = hub.attempts.sends + 1,
            outcome = null, finished_at = null,
            request = case when excluded.repeat = 'natural' then excluded.request else hub.attempts.request end,
            sealed_with = case when excluded.repeat = 'natural' then excluded.sealed_with else hub.attempts.sealed_with end;

      insert into hub.events (tenant_id, type, subject, location, data, correlation, at)
      select p_tenant, e.type, e.subject, coalesce(e.location, ''), e.data, coalesce(e.correlation, ''), v_now
      from jsonb_array_elements(v_good) i, jsonb_to_recordset(coalesce(i.value -> 'events', '[]')) as e(
        type text, subject text, location text, data jsonb, correlation text)
      order by (i.value ->> 'n')::integer;

      insert into hub.alerts as t (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at)
      select distinct on (a.dedupe_key) p_tenant, a.id, a.dedupe_key, a.kind, a.severity, a.subject, a.detail, v_now, v_now
      from jsonb_array_elements(v_good) i, jsonb_to_recordset(coalesce(i.value -> 'alerts', '[]')) as a(
        id text, dedupe_key text, kind text, severity text, subject text, detail text)
      order by a.dedupe_key
      on conflict (tenant_id, dedupe_key) where cleared_at is null
        do update set count = t.count + 1, seen_at = excluded.seen_at, detail = excluded.detail, severity = excluded.severity;

      select array_agg(r.value) into v_keys
      from jsonb_array_elements(v_good) i, jsonb_array_elements_text(coalesce(i.value -> 'cleared', '[]')) r;
      update hub.alerts set cleared_at = v_now where tenant_id = p_tenant and cleared_at is null and dedupe_key = any (v_keys);

      insert into hub.menu_versions (tenant_id, connection, location_ref, number, digest, body, at)
      select p_tenant, p_connection, m.location_ref,
        coalesce((select max(number) from hub.menu_versions v
                  where v.connection = p_connection and v.location_ref = m.location_ref), 0) + 1,
        decode(m.digest, 'base64'), m.body, v_now
      from jsonb_array_elements(v_good) i, jsonb_to_recordset(coalesce(i.value -> 'menus', '[]')) as m(
        location_ref text, digest text, body jsonb);

      for v_item in select i.value -> 'connection' from jsonb_array_elements(v_good) i where i.value ? 'connection' loop
        update hub.connections t set status = v_item ->> 'status', status_reason = v_item ->> 'reason'
        where t.tenant_id = p_tenant and t.id = p_connection and t.status in ('active', 'suspended');
      end loop;

      v_woken := hub.message_insert(p_tenant, (
        select coalesce(jsonb_agg(m.value), '[]')
        from jsonb_array_elements(v_good) i, jsonb_array_elements(coalesce(i.value -> 'messages', '[]')) m), v_now);

      -- How each item's own message ends.
      for v_item in select i.value from jsonb_array_elements(v_good) i where i.value #>> '{end,kind}' = 'dead' loop
        insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, detail, tries, at)
        select p_tenant, d.id, d.connection, m.kind, d.subject, d.lane, d.at, v_item #>> '{end,reason}', v_item #>> '{end,detail}',
          d.tries, v_now
        from hub.due d join hub.messages m on m.id = d.id and m.at = d.at
        where d.id = (v_item ->> 'message')::bigint
        on conflict (id) do update set reason = excluded.reason, detail = excluded.detail, tries = excluded.tries,
          at = excluded.at, resolution = null, resolved_at = null, resolved_by = null, why = null;
      end loop;

      select array_agg((i.value ->> 'message')::bigint) into v_ids
      from jsonb_array_elements(v_good) i where i.value #>> '{end,kind}' in ('done', 'dead');
      delete from hub.due where id = any (v_ids);

      for v_item in select i.value from jsonb_array_elements(v_good) i where i.value #>> '{end,kind}' in ('retry', 'again') loop
        update hub.due d
        set available_at = greatest(v_now, v_now + make_interval(secs => (v_item #>> '{end,after}')::double precision)),
            claimed_epoch = null, alone = false, suspect = false,
            tries = case when v_item #>> '{end,kind}' = 'again' then 0 else d.tries end,
            deaths = case when v_item ? 'attempts_closed' or v_item #>> '{end,kind}' = 'again' then 0 else d.deaths end
        where d.id = (v_item ->> 'message')::bigint;
      end loop;

      select array_agg((i.value ->> 'message')::bigint) into v_ids
      from jsonb_array_elements(v_good) i where not i.value ? 'end' and i.value ? 'attempts_closed';
      update hub.due d set deaths = 0 where d.id = any (v_ids) and d.deaths > 0;
    end if;
  end if;

  v_ids := null;

  -- A paused or suspended connection finishes what runs and takes nothing new.
  select c.status into v_status from hub.connections c where c.tenant_id = p_tenant and c.id = p_connection;
  if v_status is distinct from 'active' then
    v_room := 0;
  end if;

  -- Claim. A suspect (claimed by an owner that died) runs alone.
  -- The cancel lane passes its subject's head; a dead head parks what follows it.
  v_suspects := exists (
    select 1 from hub.due d where d.connection = p_connection and d.suspect and d.claimed_epoch is null and d.available_at <= v_now
      and (d.lane = 0 or (
        d.id = (select min(x.id) from hub.due x where x.connection = d.connection and x.subject = d.subject and x.lane > 0)
        and not exists (select 1 from hub.dead_letters l
                        where l.connection = d.connection and l.subject = d.subject and l.resolved_at is null and l.lane > 0))));
  if v_suspects then
    v_room := case when cardinality(p_held) = 0 then least(v_room, 1) else 0 end;
    v_alone := true;
  end if;

  if v_room > 0 then
    select array_agg(c.id) into v_ids from (
      select d.id from hub.due d
      where d.connection = p_connection and d.available_at <= v_now and d.claimed_epoch is null
        and d.suspect = v_alone
        and (d.lane = 0 or (
          d.id = (select min(x.id) from hub.due x where x.connection = d.connection and x.subject = d.subject and x.lane > 0)
          and not exists (select 1 from hub.dead_letters l
                          where l.connection = d.connection and l.subject = d.subject and l.resolved_at is null and l.lane > 0)))
      order by d.lane, d.available_at, d.id
      limit v_room
    ) c;
    update hub.due d set claimed_epoch = p_epoch, tries = d.tries + 1, alone = v_alone where d.id = any (v_ids);
  end if;

  select min(d.available_at) into v_next from hub.due d
  where d.connection = p_connection and d.claimed_epoch is null and d.available_at > v_now;

  v_row.row_kind := 'turn';
  v_row.at := v_now;
  v_row.result := jsonb_build_object('missed', v_missed, 'woken', v_woken, 'next_due_at', v_next, 'suspects', v_suspects,
    'now', v_now, 'status', v_status);
  return next v_row;

  if v_ids is not null then
    return query
    select 'claim'::text, d.id, m.kind, d.subject::text, d.lane, m.body, m.dedupe_key::text, m.correlation, d.at, d.deadline_at,
      d.tries, d.alone,
      case when o.id is null then null else jsonb_build_object(
        'id', o.id, 'link', o.link, 'location', o.location, 'platform', o.platform, 'platform_order_id', o.platform_order_id,
        'delivery_connection', o.delivery_connection, 'pos', o.pos, 'pos_connection', o.pos_connection,
        'pos_order_id', o.pos_order_id, 'state', o.state, 'version', o.version, 'generation', o.generation,
        'decision', o.decision, 'consumer', o.consumer, 'totals', o.totals, 'not_carried', o.not_carried,
        'attention', o.attention, 'correlation', o.correlation, 'placed_at', o.placed_at, 'deadline_at', o.deadline_at) end,
      o.body, c.sealed_key,
      (select jsonb_agg(jsonb_build_object('connection', a.connection, 'subject', a.subject, 'step', a.step,
          'generation', a.generation, 'repeat', a.repeat, 'idempotency_key', a.idempotency_key,
          'request', encode(a.request, 'base64'), 'sealed_with', a.sealed_with, 'timeout_seconds', a.timeout_seconds,
          'started_at', a.started_at, 'first_started_at', a.first_started_at, 'sends', a.sends, 'outcome', a.outcome,
          'vendor_ref', a.vendor_ref, 'data', a.data))
        from hub.attempts a where a.connection = p_connection and a.subject in (d.subject, 'order/' || o.id, 'cancel/' || o.id, 'platform/' || o.id)),
      exists (select 1 from hub.tombstones t where t.connection = p_connection and d.subject = 'order/' || t.platform_order_id
        and d.subject like 'order/%' and t.platform_order_id = substr(d.subject, 7)),
      null::jsonb
    from hub.due d
    join hub.messages m on m.id = d.id and m.at = d.at
    left join lateral (
      select * from hub.orders x where d.subject like 'order/%' and x.tenant_id = p_tenant and x.id = substr(d.subject, 7)
      union all
      select * from hub.orders x where d.subject like 'order/%' and x.delivery_connection = p_connection
        and x.platform_order_id = substr(d.subject, 7)
      union all
      select * from hub.orders x where d.subject like 'order/%' and x.pos_connection = p_connection
        and x.pos_order_id = substr(d.subject, 7)
      limit 1) o on true
    left join hub.consumers c on c.tenant_id = p_tenant and c.id = o.consumer
    where d.id = any (v_ids)
    order by d.lane, d.id;
  end if;
end
$$;

-- Become the owner: the epoch rises, what the last owner held becomes suspect, what died alone three times becomes dead.
-- A survivor is the same process starting over after it lost the database: nobody died.
create function hub.owner_activate(p_tenant text, p_connection text, p_host text, p_code_version text, p_survivor boolean)
  returns table (epoch bigint, quick_restarts integer, dead bigint[])
  language plpgsql as $$
declare
  v_now timestamptz;
begin
  perform set_config('hub.tenant', p_tenant, true);
  v_now := hub.clock();
  update hub.leases l
  set epoch = l.epoch + 1, code_version = p_code_version, activated_at = v_now,
      quick_restarts = case when l.activated_at > v_now - interval '3 seconds' and not p_survivor then l.quick_restarts + 1 else 0 end
  where l.connection = p_connection and l.host = p_host
  returning l.epoch, l.quick_restarts into epoch, quick_restarts;
  if not found then
    return;
  end if;
  update hub.due d
  set claimed_epoch = null, alone = false, suspect = d.suspect or not p_survivor,
    deaths = d.deaths + case when d.alone and not p_survivor then 1 else 0 end
  where d.connection = p_connection and d.claimed_epoch is not null;
  with gone as (
    delete from hub.due d where d.connection = p_connection and d.deaths >= 3 returning d.*
  ), stored as (
    insert into hub.dead_letters (tenant_id, id, connection, kind, subject, lane, message_at, reason, detail, tries, at)
    select g.tenant_id, g.id, g.connection, m.kind, g.subject, g.lane, g.at, 'poison',
      'its owner died three times while it ran alone', g.tries, v_now
    from gone g join hub.messages m on m.id = g.id and m.at = g.at
    on conflict (id) do update set reason = excluded.reason, detail = excluded.detail, at = excluded.at, resolution = null,
      resolved_at = null, resolved_by = null, why = null
    returning id, subject
  ), alerted as (
    insert into hub.alerts as t (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at)
    select p_tenant, 'alr_' || lpad(s.id::text, 26, '0'), 'poison/' || s.id, 'message.dead', 'critical', s.subject,
      'a message brought its owner down three times; replay or skip it', v_now, v_now
    from stored s
    on conflict (tenant_id, dedupe_key) where cleared_at is null do update set count = t.count + 1, seen_at = excluded.seen_at
  )
  select coalesce(array_agg(s.id), '{}') into dead from stored s;
  return next;
end
$$;

-- Let go in peace: what was claimed but not finished is no suspect.
create function hub.owner_release(p_tenant text, p_connection text, p_epoch bigint) returns void
  language plpgsql as $$
begin
  perform set_config('hub.tenant', p_tenant, true);
  perform 1 from hub.leases l where l.connection = p_connection and l.epoch = p_epoch for share;
  if found then
    update hub.due set claimed_epoch = null, alone = false, tries = greatest(tries - 1, 0)
    where connection = p_connection and claimed_epoch = p_epoch;
  end if;
end
$$;

-- Plans made while the tables were empty must not scan them when they are full.
alter function hub.owner_turn(text, text, bigint, jsonb, integer, bigint[])
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off;

grant execute on function hub.message_insert(text, jsonb, timestamptz) to hub_service;
grant execute on function hub.owner_turn(text, text, bigint, jsonb, integer, bigint[]) to hub_service;
