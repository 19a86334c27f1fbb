-- name: stores(location, platform, after, limit)
select l.id, l.location, w.name as location_name, d.provider as platform, l.delivery_connection, l.delivery_store_ref,
  v.name, v.status, v.seen_at
from hub.links l
join hub.locations w on w.id = l.location
join hub.connections d on d.id = l.delivery_connection
left join hub.vendor_stores v on v.connection = l.delivery_connection and v.ref = l.delivery_store_ref
where l.active and (:location::text is null or l.location = :location) and (:platform::text is null or d.provider = :platform)
  and (:after::text is null or l.id > :after)
order by l.id limit :limit;

-- name: store(id)^
select l.id, l.location, w.name as location_name, d.provider as platform, l.delivery_connection, l.delivery_store_ref,
  v.name, v.status, v.seen_at
from hub.links l
join hub.locations w on w.id = l.location
join hub.connections d on d.id = l.delivery_connection
left join hub.vendor_stores v on v.connection = l.delivery_connection and v.ref = l.delivery_store_ref
where l.active and l.id = :id;
