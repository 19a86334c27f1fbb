-- name: insert_location(tenant, id, name, timezone, currency)!
insert into hub.locations (tenant_id, id, name, timezone, currency) values (:tenant, :id, :name, :timezone, :currency);

-- name: location(id)^
select id, name, timezone, currency, created_at from hub.locations where id = :id;

-- name: locations(after, limit)
select id, name, timezone, currency, created_at from hub.locations where (:after::text is null or id > :after) order by id limit :limit;

-- name: update_location(name, timezone, id)!
update hub.locations set name = :name, timezone = :timezone where id = :id;

-- name: menu_currency(connection, location_ref)$
select body ->> 'currency' from hub.menu_versions
where connection = :connection and location_ref = :location_ref order by number desc limit 1;

-- name: insert_link(tenant, id, location, pos_connection, pos_location_ref, delivery_connection, delivery_store_ref, price_rule, accept, unmapped, at_deadline)!
insert into hub.links (tenant_id, id, location, pos_connection, pos_location_ref, delivery_connection, delivery_store_ref,
  price_rule, accept, unmapped, at_deadline)
values (:tenant, :id, :location, :pos_connection, :pos_location_ref, :delivery_connection, :delivery_store_ref,
  :price_rule, :accept, :unmapped, :at_deadline);

-- name: link(id)^
select id, location, pos_connection, pos_location_ref, delivery_connection, delivery_store_ref, price_rule, accept, unmapped,
  at_deadline, active, created_at
from hub.links where id = :id and active;

-- name: links(after, location, limit)
select id, location, pos_connection, pos_location_ref, delivery_connection, delivery_store_ref, price_rule, accept, unmapped,
  at_deadline, active, created_at
from hub.links
where active and (:after::text is null or id > :after) and (:location::text is null or location = :location)
order by id limit :limit;

-- name: store_linked(connection, store_ref)$
select exists (select 1 from hub.links where active and delivery_connection = :connection and delivery_store_ref = :store_ref);

-- name: update_link(price_rule, accept, unmapped, at_deadline, id)!
update hub.links set price_rule = :price_rule, accept = :accept, unmapped = :unmapped, at_deadline = :at_deadline where id = :id;

-- name: end_link(id)$
update hub.links set active = false where id = :id and active returning id;

-- name: insert_claim(tenant, id, provider, provider_app, connection, store_ref)!
insert into hub.store_claims (tenant_id, id, provider, provider_app, connection, store_ref)
values (:tenant, :id, :provider, :provider_app, :connection, :store_ref);

-- name: claim(id)^
select id, provider, provider_app, connection, store_ref, proof, proven_at, created_at from hub.store_claims where id = :id;

-- name: claim_of(connection, store_ref)^
select id from hub.store_claims where connection = :connection and store_ref = :store_ref;

-- name: claims(after, limit)
select id, provider, provider_app, connection, store_ref, proof, proven_at, created_at from hub.store_claims
where (:after::text is null or id > :after) order by id limit :limit;

-- name: delete_claim(id)$
delete from hub.store_claims where id = :id returning id;

-- name: all_claims(after, limit)
select id, tenant_id as tenant, provider, provider_app, connection, store_ref, proof, proven_at
from (select * from hub.claims_list(true) union all select * from hub.claims_list(false)) c
where (:after::text is null or id > :after) order by id limit :limit;

-- name: any_claim(id)^
select id, tenant_id as tenant, provider, provider_app, connection, store_ref, proof, proven_at
from (select * from hub.claims_list(true) union all select * from hub.claims_list(false)) c where c.id = :id;

-- name: approve(claim, alert)$
select hub.claim_approve(:claim, :alert);

-- name: routed(provider_app, store_ref)^
select tenant_id, connection from hub.route_ingress(:provider_app, :store_ref);

-- name: set_mapping(tenant, link, channel_key, pos_product)!
insert into hub.mappings (tenant_id, link, channel_key, pos_product) values (:tenant, :link, :channel_key, :pos_product)
on conflict (tenant_id, link, channel_key) do update set pos_product = excluded.pos_product;

-- name: mappings(link, after, limit)
select link, channel_key, pos_product from hub.mappings
where link = :link and (:after::text is null or channel_key > :after collate "C") order by channel_key limit :limit;

-- name: delete_mapping(link, channel_key)$
delete from hub.mappings where link = :link and channel_key = :channel_key returning channel_key;

-- name: store_currency(connection, ref)$
select nullif(currency, '') from hub.vendor_stores where connection = :connection and ref = :ref;
