-- One call that reads the orders of many requests. It runs with its caller's rights: before each tenant's rows the tenant is set, so
-- that row security shows those and no others; an id in the wrong tenant's part is not found.

-- The ids of p_tenants[i] are p_ids[p_ends[i - 1] + 1 : p_ends[i]].
create function hub.read_orders(p_tenants text[], p_ends integer[], p_ids text[])
  returns table (
    tenant_id text, id text, link text, location text, state text, version integer, generation integer, decision text, display_id text,
    platform text, platform_order_id text, delivery_connection text, pos text, pos_order_id text, pos_connection text,
    placed_at timestamptz, deadline_at timestamptz, created_at timestamptz, updated_at timestamptz, attention jsonb, totals jsonb,
    not_carried jsonb, correlation text, body bytea, consumer text, sealed_key bytea
  )
  language plpgsql set search_path = pg_catalog
  set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  v_before text := coalesce(current_setting('hub.tenant', true), '');
  v_from integer := 1;
begin
  for i in 1 .. cardinality(p_tenants) loop
    perform set_config('hub.tenant', p_tenants[i], true);
    return query
    select o.tenant_id, o.id, o.link, o.location, o.state, o.version, o.generation, o.decision, o.display_id, o.platform,
      o.platform_order_id, o.delivery_connection, o.pos, o.pos_order_id, o.pos_connection, o.placed_at, o.deadline_at, o.created_at,
      o.updated_at, o.attention, o.totals, o.not_carried, o.correlation, o.body, o.consumer, c.sealed_key
    from hub.orders o join hub.consumers c on c.tenant_id = o.tenant_id and c.id = o.consumer
    where o.id = any (p_ids[v_from : p_ends[i]]);
    v_from := p_ends[i] + 1;
  end loop;
  perform set_config('hub.tenant', v_before, true);
end
$$;
revoke all on function hub.read_orders(text[], integer[], text[]) from public;
grant execute on function hub.read_orders(text[], integer[], text[]) to hub_service;
