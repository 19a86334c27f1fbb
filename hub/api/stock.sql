-- name: stock(location, connection, unavailable, at_connection, at_place, at_item, limit)
with rows as materialized (
  select s.connection, s.place_ref, s.item, s.kind, s.available, s.quantity, s.until, s.held, s.told_at from hub.stock s
  where exists (
      select 1 from hub.links l
      where l.active and l.pos_connection = s.connection and l.pos_location_ref = s.place_ref
        and (:location::text is null or l.location = :location))
    and (:connection::text is null or s.connection = :connection)
    and (not :unavailable::boolean or not s.available)
    and (:at_connection::text is null or (s.connection, s.place_ref, s.item) > (:at_connection, :at_place::text, :at_item::text))
  order by s.connection, s.place_ref, s.item limit :limit
), menus as materialized (
  select p.connection, p.place_ref,
    (select v.body from hub.menu_versions v where v.connection = p.connection and v.location_ref = p.place_ref
     order by v.number desc limit 1) as body
  from (select distinct connection, place_ref from rows) p
), names as materialized (
  select m.connection, m.place_ref, i->>'id' as id, i->>'name' as name
  from menus m, jsonb_array_elements(coalesce(m.body->'items', '[]')) i
  union all
  select m.connection, m.place_ref, o->>'id', o->>'name'
  from menus m, jsonb_array_elements(coalesce(m.body->'groups', '[]')) g, jsonb_array_elements(coalesce(g->'modifiers', '[]')) o
)
select r.*, (select min(n.name) from names n where n.connection = r.connection and n.place_ref = r.place_ref and n.id = r.item) as name,
  (select jsonb_agg(jsonb_build_object('link', l.id, 'store_ref', l.delivery_store_ref, 'platform', d.provider,
      'confirmed', coalesce(c.available = r.available, false), 'available', c.available, 'at', c.told_at) order by l.id)
   from hub.links l
   join hub.connections d on d.id = l.delivery_connection
   left join hub.stock c on c.connection = l.delivery_connection and c.place_ref = l.delivery_store_ref and c.item = r.item
   where l.active and l.pos_connection = r.connection and l.pos_location_ref = r.place_ref) as channels
from rows r order by r.connection, r.place_ref, r.item;

-- name: places(location)
select distinct pos_connection, pos_location_ref from hub.links where location = :location and active
order by pos_connection, pos_location_ref;

-- name: on_menu(connection, location_ref, ids)
with menu as materialized (
  select body from hub.menu_versions where connection = :connection and location_ref = :location_ref order by number desc limit 1
)
select i->>'id' as id, 'item' as kind from menu, jsonb_array_elements(coalesce(body->'items', '[]')) i
where i->>'id' = any (:ids::text[])
union
select o->>'id', 'modifier'
from menu, jsonb_array_elements(coalesce(body->'groups', '[]')) g, jsonb_array_elements(coalesce(g->'modifiers', '[]')) o
where o->>'id' = any (:ids::text[]);
