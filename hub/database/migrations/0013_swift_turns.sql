-- An owner's turn touches what it names and nothing of what has passed.
--
-- Made over empty tables, a plan cannot tell a good index from one that begins with tenant_id, which row security offers to every
-- statement: each claim then read all attempts of its tenant, each update all of its orders. So rows are named by equality with the
-- keys of one index, and what an item is compared with is read by key first. Statements with nothing to do are not run, and plans are
-- made once: planning again was an eighth of a turn.

create or replace function hub.owner_turn(
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
  v_has text[];
  v_ops text[];
  v_held text[] := '{}';
  v_there text[] := '{}';
  v_gone text[] := '{}';
begin
  perform set_config('hub.tenant', p_tenant, true);
  perform 1 from hub.leases l where l.connection = p_connection and l.epoch = p_epoch for share;
  if not found then
    raise exception 'the owner of % with epoch % was replaced', p_connection, p_epoch using errcode = 'HB001';
  end if;
  v_now := hub.clock();

  if jsonb_array_length(p_items) > 0 then
    -- What these items hold at all: a statement that has nothing to do is not run.
    select coalesce(array_agg(distinct k), '{}') into v_has
    from jsonb_array_elements(p_items) i, jsonb_object_keys(i.value) k;
    select array_agg(i.value #>> '{order,id}'), coalesce(array_agg(distinct i.value #>> '{order,op}'), '{}') into v_keys, v_ops
    from jsonb_array_elements(p_items) i where i.value ? 'order';

    -- Decide which items still hold. Order rows are locked in key order. What is there is read by key first, and compared in memory:
    -- a subquery for each item may be planned as a scan of all orders.
    if v_keys is not null then
      for v_rec in select o.id, o.version from hub.orders o where o.tenant_id = p_tenant and o.id = any (v_keys) order by o.id for update loop
        v_held := v_held || (v_rec.id || ' ' || v_rec.version);
      end loop;
    end if;
    if 'insert' = any (v_ops) or 'tombstone' = any (v_has) then
      select array_agg(coalesce(i.value #>> '{order,platform_order_id}', i.value ->> 'tombstone')) into v_keys
      from jsonb_array_elements(p_items) i where i.value #>> '{order,op}' = 'insert' or i.value ? 'tombstone';
      select coalesce(array_agg(o.platform_order_id), '{}') into v_there
      from hub.orders o where o.delivery_connection = p_connection and o.platform_order_id = any (v_keys);
      select coalesce(array_agg(t.platform_order_id), '{}') into v_gone
      from hub.tombstones t where t.connection = p_connection and t.platform_order_id = any (v_keys);
      select coalesce(array_agg(i.value #>> '{order,platform_order_id}'), '{}') into v_keys
      from jsonb_array_elements(p_items) i where i.value #>> '{order,op}' = 'insert';
    end if;
    if v_has && array['order', 'tombstone'] then
      select coalesce(array_agg((i.value ->> 'n')::integer), '{}') into v_missed
      from jsonb_array_elements(p_items) i
      where (i.value #>> '{order,op}' in ('update', 'guard')
             and (i.value #>> '{order,id}') || ' ' || (i.value #>> '{order,version}') <> all (v_held))
         or (i.value #>> '{order,op}' = 'insert' and (i.value #>> '{order,platform_order_id}') = any (v_there || v_gone))
         or (i.value ? 'tombstone' and (i.value ->> 'tombstone') = any (v_there || v_keys));
    end if;

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

    v_good := p_items;
    if cardinality(v_missed) > 0 then
      select coalesce(jsonb_agg(i.value), '[]') into v_good
      from jsonb_array_elements(p_items) i where (i.value ->> 'n')::integer <> all (v_missed);
    end if;

    if jsonb_array_length(v_good) > 0 then
      if 'insert' = any (v_ops) then
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
      end if;

      for v_item in select i.value -> 'order' from jsonb_array_elements(v_good) i
        where 'update' = any (v_ops) and i.value #>> '{order,op}' = 'update'
      loop
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

      if 'tombstone' = any (v_has) then
      insert into hub.tombstones (tenant_id, connection, platform_order_id, at)
      select p_tenant, p_connection, i.value ->> 'tombstone', v_now
      from jsonb_array_elements(v_good) i where i.value ? 'tombstone' on conflict do nothing;
      end if;

      if 'attempts_opened' = any (v_has) then
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
      end if;

      if 'events' = any (v_has) then
      insert into hub.events (tenant_id, type, subject, location, data, correlation, at)
      select p_tenant, e.type, e.subject, coalesce(e.location, ''), e.data, coalesce(e.correlation, ''), v_now
      from jsonb_array_elements(v_good) i, jsonb_to_recordset(coalesce(i.value -> 'events', '[]')) as e(
        type text, subject text, location text, data jsonb, correlation text)
      order by (i.value ->> 'n')::integer;
      end if;

      if 'alerts' = any (v_has) then
      insert into hub.alerts as t (tenant_id, id, dedupe_key, kind, severity, subject, detail, raised_at, seen_at)
      select distinct on (a.dedupe_key) p_tenant, a.id, a.dedupe_key, a.kind, a.severity, a.subject, a.detail, v_now, v_now
      from jsonb_array_elements(v_good) i, jsonb_to_recordset(coalesce(i.value -> 'alerts', '[]')) as a(
        id text, dedupe_key text, kind text, severity text, subject text, detail text)
      order by a.dedupe_key
      on conflict (tenant_id, dedupe_key) where cleared_at is null
        do update set count = t.count + 1, seen_at = excluded.seen_at, detail = excluded.detail, severity = excluded.severity;
      end if;

      if 'cleared' = any (v_has) then
      select array_agg(r.value) into v_keys
      from jsonb_array_elements(v_good) i, jsonb_array_elements_text(coalesce(i.value -> 'cleared', '[]')) r;
      update hub.alerts set cleared_at = v_now where tenant_id = p_tenant and cleared_at is null and dedupe_key = any (v_keys);
      end if;

      if 'menus' = any (v_has) then
      insert into hub.menu_versions (tenant_id, connection, location_ref, number, digest, body, at)
      select p_tenant, p_connection, m.location_ref,
        coalesce((select max(number) from hub.menu_versions v
                  where v.connection = p_connection and v.location_ref = m.location_ref), 0) + 1,
        decode(m.digest, 'base64'), m.body, v_now
      from jsonb_array_elements(v_good) i, jsonb_to_recordset(coalesce(i.value -> 'menus', '[]')) as m(
        location_ref text, digest text, body jsonb);
      end if;

      for v_item in select i.value -> 'connection' from jsonb_array_elements(v_good) i where i.value ? 'connection' loop
        update hub.connections t set status = v_item ->> 'status', status_reason = v_item ->> 'reason'
        where t.tenant_id = p_tenant and t.id = p_connection and t.status in ('active', 'suspended');
      end loop;

      if 'messages' = any (v_has) then
      v_woken := hub.message_insert(p_tenant, (
        select coalesce(jsonb_agg(m.value), '[]')
        from jsonb_array_elements(v_good) i, jsonb_array_elements(coalesce(i.value -> 'messages', '[]')) m), v_now);
      end if;

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
      if v_ids is not null then
        update hub.due d set deaths = 0 where d.id = any (v_ids) and d.deaths > 0;
      end if;
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
        from (
          select * from hub.attempts x where x.connection = p_connection and x.subject = d.subject
          union all
          select * from hub.attempts x where x.connection = p_connection and x.subject = 'order/' || o.id and d.subject <> 'order/' || o.id
          union all
          select * from hub.attempts x where x.connection = p_connection and x.subject = 'cancel/' || o.id
          union all
          select * from hub.attempts x where x.connection = p_connection and x.subject = 'platform/' || o.id
        ) a),
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

alter function hub.owner_turn(text, text, bigint, jsonb, integer, bigint[])
  set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off set enable_sort = off
  set plan_cache_mode = force_generic_plan;
