-- name: orders(state, provider, location, since, until, text, at, after, limit)
select o.*, c.sealed_key from hub.orders o join hub.consumers c on c.tenant_id = o.tenant_id and c.id = o.consumer
where (:state::text is null or o.state = :state)
  and (:provider::text is null or o.platform = :provider or o.pos = :provider)
  and (:location::text is null or o.location = :location)
  and (:since::timestamptz is null or o.placed_at >= :since)
  and (:until::timestamptz is null or o.placed_at < :until)
  and (:text::text is null or o.display_id ilike :text or o.platform_order_id ilike :text or o.pos_order_id ilike :text
       or o.id ilike :text)
  and (:at::timestamptz is null or (o.placed_at, o.id) < (:at, :after::text))
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
