-- name: insert_connection(tenant, id, provider, environment, name, provider_app, settings)!
insert into hub.connections (tenant_id, id, provider, environment, name, provider_app, settings)
values (:tenant, :id, :provider, :environment, :name, :provider_app, :settings);

-- name: insert_credentials(id, tenant, connection, sealed)!
insert into hub.credentials (id, tenant_id, connection, sealed) values (:id, :tenant, :connection, :sealed);

-- name: insert_lease(tenant, connection)!
insert into hub.leases (tenant_id, connection) values (:tenant, :connection);

-- name: replace_credentials(sealed, connection)!
update hub.credentials set sealed = :sealed, token = null, expires_at = null, refreshing_until = null, version = version + 1
where connection = :connection;

-- name: replace_sealed(sealed, connection)!
update hub.credentials set sealed = :sealed, refreshing_until = null, version = version + 1 where connection = :connection;

-- name: connection(id)^
select id, provider, environment, name, provider_app, settings, status, status_reason, version, created_at
from hub.connections where id = :id and status <> 'removed';

-- name: lock_connection(id)^
select id, provider, environment, name, provider_app, settings, status, status_reason, version, created_at
from hub.connections where id = :id and status <> 'removed' for update;

-- name: connections(after, provider, limit)
select id, provider, environment, name, provider_app, settings, status, status_reason, version, created_at
from hub.connections
where status <> 'removed' and (:after::text is null or id > :after) and (:provider::text is null or provider = :provider)
order by id limit :limit;

-- name: update_connection(name, settings, status, reason, id)!
update hub.connections set name = :name, settings = :settings, status = :status, status_reason = :reason, version = version + 1
where id = :id;

-- name: links_of(id)$
select count(*) from hub.links where active and :id in (pos_connection, delivery_connection);

-- name: delete_claims(id)!
delete from hub.store_claims where connection = :id;

-- name: delete_due(id)!
delete from hub.due where connection = :id;

-- name: mailbox(id)^
select (select count(*) from hub.due d where d.connection = :id) as ready,
  (select count(*) from hub.dead_letters l where l.connection = :id and l.resolved_at is null) as dead,
  (select min(d.available_at) from hub.due d where d.connection = :id) as oldest_due,
  (select epoch from hub.leases where connection = :id) as epoch,
  (select host from hub.leases where connection = :id) as host,
  (select expires_at from hub.credentials where connection = :id) as token_expires_at;

-- name: name_taken(provider, name, id)$
select exists (select 1 from hub.connections where provider = :provider and name = :name and status <> 'removed' and id <> :id);

-- name: message_of(connection, dedupe_key)$
select message from hub.facts where connection = :connection and dedupe_key = :dedupe_key;
