-- Tenants, people, connections and what belongs to them. References between tenant tables are (tenant_id, id): foreign keys
-- ignore row security.

create table hub.tenants (
  id text collate "C" primary key,
  name text not null,
  demo boolean not null default false,
  created_at timestamptz not null default hub.clock()
);
select hub.guard_table('hub.tenants', 'id');
grant select on hub.tenants to hub_service;

create table hub.users (
  id text collate "C" primary key,
  email text not null unique,
  password_hash text not null,
  totp_sealed bytea,
  operator boolean not null default false,
  created_at timestamptz not null default hub.clock()
);
select hub.guard_operator_table('hub.users');

create table hub.memberships (
  tenant_id text collate "C" not null references hub.tenants,
  user_id text collate "C" not null references hub.users,
  role text not null check (role in ('owner', 'manager', 'staff', 'viewer')),
  primary key (tenant_id, user_id)
);
select hub.guard_table('hub.memberships');
grant select on hub.memberships to hub_service;

-- Refresh-token families: a used token that comes again revokes its family.
create table hub.sessions (
  id text collate "C" primary key,
  user_id text collate "C" not null references hub.users,
  tenant_id text collate "C" not null references hub.tenants,
  token_hash bytea not null,
  generation integer not null default 1,
  created_at timestamptz not null default hub.clock(),
  expires_at timestamptz not null,
  revoked_at timestamptz
);
select hub.guard_table('hub.sessions');
grant select on hub.sessions to hub_service;

create table hub.api_keys (
  tenant_id text collate "C" not null references hub.tenants,
  id text collate "C" not null,
  name text not null,
  key_hash bytea not null unique,
  role text not null check (role in ('owner', 'manager', 'staff', 'viewer')),
  created_at timestamptz not null default hub.clock(),
  revoked_at timestamptz,
  primary key (tenant_id, id)
);
select hub.guard_table('hub.api_keys');
grant select, insert, update on hub.api_keys to hub_service;

create table hub.provider_apps (
  id text collate "C" primary key,
  provider text not null,
  environment text not null,
  name text not null,
  created_at timestamptz not null default hub.clock(),
  unique (provider, name)
);
select hub.guard_operator_table('hub.provider_apps');

create table hub.connections (
  tenant_id text collate "C" not null references hub.tenants,
  id text collate "C" not null unique,
  provider text not null,
  environment text not null,
  name text not null,
  provider_app text collate "C" references hub.provider_apps,
  settings jsonb not null default '{}',
  status text not null default 'active' check (status in ('active', 'paused', 'suspended', 'removed')),
  status_reason text not null default '',
  version integer not null default 1,
  created_at timestamptz not null default hub.clock(),
  primary key (tenant_id, id)
);
create unique index connections_name on hub.connections (tenant_id, provider, name) where status <> 'removed';
select hub.guard_table('hub.connections');
grant select, insert, update on hub.connections to hub_service;

-- What a connection or a provider app knows to prove itself (`sealed`), and the token it last got (`token`).
create table hub.credentials (
  id text collate "C" primary key,
  tenant_id text collate "C",
  connection text collate "C",
  provider_app text collate "C" references hub.provider_apps,
  sealed bytea not null,
  token bytea,
  version integer not null default 1,
  expires_at timestamptz,
  refreshing_until timestamptz,
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id),
  check ((connection is null) <> (provider_app is null)),
  check ((connection is null) = (tenant_id is null))
);
create unique index credentials_connection on hub.credentials (tenant_id, connection) where connection is not null;
create unique index credentials_app on hub.credentials (provider_app) where provider_app is not null;
select hub.guard_table('hub.credentials');
grant select, insert, update on hub.credentials to hub_service;

create table hub.leases (
  tenant_id text collate "C" not null,
  connection text collate "C" primary key,
  host text,
  epoch bigint not null default 0,
  code_version text not null default '',
  activated_at timestamptz,
  quick_restarts integer not null default 0,
  next_due_at timestamptz,
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
create index leases_host on hub.leases (host);
select hub.guard_table('hub.leases');
grant select, insert, update on hub.leases to hub_service;

-- One at a time of each process that the cluster needs once.
create table hub.singletons (
  name text primary key,
  holder text not null,
  epoch bigint not null default 1,
  expires_at timestamptz not null
);
select hub.guard_operator_table('hub.singletons');

create table hub.store_claims (
  tenant_id text collate "C" not null,
  id text collate "C" not null,
  provider text not null,
  provider_app text collate "C" not null references hub.provider_apps,
  connection text collate "C" not null,
  store_ref text not null,
  proof text not null default '' check (proof in ('', 'grant', 'provisioned', 'operator')),
  proven_at timestamptz,
  created_at timestamptz not null default hub.clock(),
  primary key (tenant_id, id),
  unique (tenant_id, connection, store_ref),
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
create unique index store_claims_proven on hub.store_claims (provider_app, store_ref) where proven_at is not null;
select hub.guard_table('hub.store_claims');
grant select, insert, update, delete on hub.store_claims to hub_service;

create table hub.locations (
  tenant_id text collate "C" not null references hub.tenants,
  id text collate "C" not null,
  name text not null,
  timezone text not null,
  currency text not null,
  created_at timestamptz not null default hub.clock(),
  primary key (tenant_id, id)
);
select hub.guard_table('hub.locations');
grant select, insert, update on hub.locations to hub_service;

create table hub.links (
  tenant_id text collate "C" not null,
  id text collate "C" not null,
  location text collate "C" not null,
  pos_connection text collate "C" not null,
  pos_location_ref text not null,
  delivery_connection text collate "C" not null,
  delivery_store_ref text not null,
  price_rule jsonb not null default '{}',
  accept text not null default 'auto' check (accept in ('auto', 'manual')),
  unmapped text not null default 'accept' check (unmapped in ('accept', 'hold', 'reject')),
  at_deadline text not null default 'reject' check (at_deadline in ('reject', 'accept')),
  active boolean not null default true,
  created_at timestamptz not null default hub.clock(),
  primary key (tenant_id, id),
  foreign key (tenant_id, location) references hub.locations (tenant_id, id),
  foreign key (tenant_id, pos_connection) references hub.connections (tenant_id, id),
  foreign key (tenant_id, delivery_connection) references hub.connections (tenant_id, id)
);
create unique index links_store on hub.links (tenant_id, delivery_connection, delivery_store_ref) where active;
create index links_pos on hub.links (tenant_id, pos_connection) where active;
select hub.guard_table('hub.links');
grant select, insert, update on hub.links to hub_service;

create table hub.menu_versions (
  tenant_id text collate "C" not null,
  connection text collate "C" not null,
  location_ref text not null,
  number integer not null,
  digest bytea not null,
  body jsonb not null,
  at timestamptz not null default hub.clock(),
  primary key (tenant_id, connection, location_ref, number),
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
select hub.guard_table('hub.menu_versions');
grant select, insert on hub.menu_versions to hub_service;

-- A channel's key that names another POS product than itself.
create table hub.mappings (
  tenant_id text collate "C" not null,
  link text collate "C" not null,
  channel_key text not null,
  pos_product text not null,
  primary key (tenant_id, link, channel_key),
  foreign key (tenant_id, link) references hub.links (tenant_id, id)
);
select hub.guard_table('hub.mappings');
grant select, insert, update, delete on hub.mappings to hub_service;

-- Keys that seal bodies: one a tenant and day; deleting it erases what it sealed.
create table hub.day_keys (
  tenant_id text collate "C" not null references hub.tenants,
  day date not null,
  sealed bytea not null,
  primary key (tenant_id, day)
);
select hub.guard_table('hub.day_keys');
grant select, insert on hub.day_keys to hub_service;

create table hub.consumers (
  tenant_id text collate "C" not null references hub.tenants,
  id text collate "C" not null,
  sealed_key bytea,
  created_at timestamptz not null default hub.clock(),
  erased_at timestamptz,
  primary key (tenant_id, id)
);
select hub.guard_table('hub.consumers');
grant select, insert, update on hub.consumers to hub_service;

create table hub.idempotency_keys (
  tenant_id text collate "C" not null references hub.tenants,
  key text not null,
  body_hash bytea not null,
  status integer not null,
  answer jsonb not null,
  at timestamptz not null default hub.clock(),
  primary key (tenant_id, key)
);
select hub.guard_table('hub.idempotency_keys');
grant select, insert, update on hub.idempotency_keys to hub_service;

create table hub.audit_log (
  tenant_id text collate "C" not null references hub.tenants,
  id text collate "C" not null,
  actor text not null,
  action text not null,
  subject text not null,
  fields jsonb not null default '{}',
  correlation text not null default '',
  at timestamptz not null default hub.clock(),
  primary key (tenant_id, id)
);
select hub.guard_table('hub.audit_log');
grant select, insert on hub.audit_log to hub_service;

-- Signed calls that no proven claim routes: the operator's to look at.
create table hub.unrouted_events (
  id bigint generated always as identity primary key,
  provider text not null,
  provider_app text not null,
  store_ref text not null,
  reason text not null,
  digest bytea not null,
  sealed bytea not null,
  correlation text not null,
  count integer not null default 1,
  at timestamptz not null default hub.clock(),
  unique (provider_app, digest)
);
select hub.guard_operator_table('hub.unrouted_events');

create table hub.operator_alerts (
  id text collate "C" primary key,
  dedupe_key text not null,
  kind text not null,
  detail text not null,
  count integer not null default 1,
  raised_at timestamptz not null default hub.clock(),
  seen_at timestamptz not null default hub.clock(),
  cleared_at timestamptz
);
create unique index operator_alerts_open on hub.operator_alerts (dedupe_key) where cleared_at is null;
select hub.guard_operator_table('hub.operator_alerts');
