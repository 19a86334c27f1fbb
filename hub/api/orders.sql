-- name: orders(state, provider, location, since, until, text, at, after, limit)
-- One upper bound, always there: a page is found in its index however deep it lies. Of two, PostgreSQL would start at the wrong one.
select o.*, c.sealed_key from hub.orders o join hub.consumers c on c.tenant_id = o.tenant_id and c.id = o.consumer
where (:state::text is null or o.state = :state)
  and (:provider::text is null or o.platform = :provider or o.pos = :provider)
  and (:location::text is null or o.location = :location)
  and o.placed_at >= coalesce(:since::timestamptz, '-infinity')
  and (:text::text is null or o.display_id ilike :text or o.platform_order_id ilike :text or o.pos_order_id ilike :text
       or o.id ilike :text)
  and (o.placed_at, o.id) < (
    least(coalesce(:at::timestamptz, 'infinity'), coalesce(:until::timestamptz, 'infinity')),
    case when :at::timestamptz < coalesce(:until::timestamptz, 'infinity') then :after::text else '' end)
order by o.placed_at desc, o.id desc limit :limit;

-- name: open_orders(state, provider, location, since, until, text, at, after, limit)
-- As above among those that are not over, which are few however long the history is.
select o.*, c.sealed_key from hub.orders o join hub.consumers c on c.tenant_id = o.tenant_id and c.id = o.consumer
where o.ended is null and o.state = :state
  and (:provider::text is null or o.platform = :provider or o.pos = :provider)
  and (:location::text is null or o.location = :location)
  and o.placed_at >= coalesce(:since::timestamptz, '-infinity')
  and (:text::text is null or o.display_id ilike :text or o.platform_order_id ilike :text or o.pos_order_id ilike :text
       or o.id ilike :text)
  and (o.placed_at, o.id) < (
    least(coalesce(:at::timestamptz, 'infinity'), coalesce(:until::timestamptz, 'infinity')),
    case when :at::timestamptz < coalesce(:until::timestamptz, 'infinity') then :after::text else '' end)
order by o.placed_at desc, o.id desc limit :limit;

-- name: past_orders(state, provider, location, since, until, text, at, after, limit)
-- As above among those that are over, by their state: a rare one is found without the others.
select o.*, c.sealed_key from hub.orders o join hub.consumers c on c.tenant_id = o.tenant_id and c.id = o.consumer
where o.ended is not null and o.ended = :state
  and (:provider::text is null or o.platform = :provider or o.pos = :provider)
  and (:location::text is null or o.location = :location)
  and o.placed_at >= coalesce(:since::timestamptz, '-infinity')
  and (:text::text is null or o.display_id ilike :text or o.platform_order_id ilike :text or o.pos_order_id ilike :text
       or o.id ilike :text)
  and (o.placed_at, o.id) < (
    least(coalesce(:at::timestamptz, 'infinity'), coalesce(:until::timestamptz, 'infinity')),
    case when :at::timestamptz < coalesce(:until::timestamptz, 'infinity') then :after::text else '' end)
order by o.placed_at desc, o.id desc limit :limit;

-- name: order(id)^
select o.*, c.sealed_key from hub.orders o join hub.consumers c on c.tenant_id = o.tenant_id and c.id = o.consumer
where o.id = :id;

-- name: lock_order(id)^
select o.*, c.sealed_key from hub.orders o join hub.consumers c on c.tenant_id = o.tenant_id and c.id = o.consumer
where o.id = :id for update of o;

-- name: decide(decision, id, version)$
update hub.orders set version = version + 1, updated_at = hub.clock(), decision = :decision
where id = :id and version = :version returning version;

-- name: regenerate(decision, id, version)$
update hub.orders set version = version + 1, updated_at = hub.clock(), decision = :decision, generation = generation + 1,
  attention = null
where id = :id and version = :version returning version;

-- name: exists(id)$
select exists (select 1 from hub.orders where id = :id);

-- name: timeline(subject, after, limit)
select id, type, data, correlation, at from hub.events
where subject = :subject and (:after::bigint is null or id > :after) order by id limit :limit;
