-- The durable mailbox, attempts, orders and events: what an owner's turn reads and writes.

create sequence hub.message_ids;
grant usage on sequence hub.message_ids to hub_service, hub_definer;

-- Facts outlive the vendor's retry window; messages leave by partition.
create table hub.facts (
  tenant_id text collate "C" not null,
  connection text collate "C" not null,
  dedupe_key text collate "C" not null,
  message bigint not null,
  at timestamptz not null,
  primary key (connection, dedupe_key),
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
select hub.guard_table('hub.facts');
grant select, insert on hub.facts to hub_service;

create table hub.messages (
  tenant_id text collate "C" not null,
  id bigint not null,
  connection text collate "C" not null,
  kind text not null,
  subject text collate "C" not null,
  dedupe_key text collate "C" not null,
  body bytea not null,
  correlation text not null,
  at timestamptz not null,
  primary key (id, at)
) partition by range (at);
create index messages_connection on hub.messages (connection, id);
select hub.guard_table('hub.messages');
grant select, insert on hub.messages to hub_service;
create table hub.messages_default partition of hub.messages default;

create table hub.due (
  id bigint primary key,
  tenant_id text collate "C" not null,
  connection text collate "C" not null,
  subject text collate "C" not null,
  lane smallint not null,
  at timestamptz not null,
  available_at timestamptz not null,
  deadline_at timestamptz,
  tries integer not null default 0,
  claimed_epoch bigint,
  alone boolean not null default false,
  suspect boolean not null default false,
  deaths smallint not null default 0
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
        autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000);
create index due_claim on hub.due (connection, lane, available_at, id);
create index due_subject on hub.due (connection, subject, id);
create index due_time on hub.due (connection, available_at);
create index due_suspect on hub.due (connection, id) where suspect;
select hub.guard_table('hub.due');
grant select, insert, update, delete on hub.due to hub_service;

create table hub.dead_letters (
  tenant_id text collate "C" not null,
  id bigint primary key,
  connection text collate "C" not null,
  kind text not null,
  subject text collate "C" not null,
  lane smallint not null,
  message_at timestamptz not null,
  reason text not null,
  detail text not null default '',
  tries integer not null,
  at timestamptz not null default hub.clock(),
  resolution text check (resolution in ('replayed', 'skipped', 'reopened')),
  resolved_at timestamptz,
  resolved_by text,
  why text
);
create index dead_letters_subject on hub.dead_letters (connection, subject) where resolved_at is null;
create index dead_letters_tenant on hub.dead_letters (tenant_id, id);
select hub.guard_table('hub.dead_letters');
grant select, insert, update on hub.dead_letters to hub_service;

create table hub.orders (
  tenant_id text collate "C" not null,
  id text collate "C" not null,
  link text collate "C" not null,
  location text collate "C" not null,
  platform text not null,
  platform_order_id text collate "C" not null,
  delivery_connection text collate "C" not null,
  pos text not null,
  pos_connection text collate "C" not null,
  pos_order_id text collate "C",
  state text not null,
  version integer not null default 1,
  generation integer not null default 1,
  decision text not null default '',
  body bytea not null,
  consumer text collate "C" not null,
  display_id text not null default '',
  totals jsonb not null,
  not_carried jsonb not null default '[]',
  attention jsonb,
  menu_version integer,
  correlation text not null default '',
  placed_at timestamptz not null,
  deadline_at timestamptz,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  primary key (tenant_id, id),
  unique (delivery_connection, platform_order_id),
  foreign key (tenant_id, link) references hub.links (tenant_id, id),
  foreign key (tenant_id, consumer) references hub.consumers (tenant_id, id)
) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
create unique index orders_pos on hub.orders (pos_connection, pos_order_id) where pos_order_id is not null;
create index orders_open on hub.orders (delivery_connection, deadline_at)
  where state not in ('completed', 'cancelled', 'rejected', 'failed');
create index orders_placed on hub.orders (tenant_id, placed_at, id);
select hub.guard_table('hub.orders');
grant select, insert, update on hub.orders to hub_service;

-- A cancel that came before its order.
create table hub.tombstones (
  tenant_id text collate "C" not null,
  connection text collate "C" not null,
  platform_order_id text collate "C" not null,
  at timestamptz not null default hub.clock(),
  primary key (connection, platform_order_id),
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
select hub.guard_table('hub.tombstones');
grant select, insert on hub.tombstones to hub_service;

create table hub.attempts (
  tenant_id text collate "C" not null,
  connection text collate "C" not null,
  subject text collate "C" not null,
  step text collate "C" not null,
  generation integer not null,
  order_id text collate "C",
  repeat text not null,
  idempotency_key text not null,
  request bytea not null,
  sealed_with text collate "C" not null,
  timeout_seconds real not null,
  epoch bigint not null,
  sends integer not null default 1,
  started_at timestamptz not null,
  first_started_at timestamptz not null,
  finished_at timestamptz,
  outcome text check (outcome in ('done', 'refused', 'not_sent')),
  vendor_ref text not null default '',
  data jsonb not null default '{}',
  detail text not null default '',
  primary key (connection, subject, step, generation),
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
create unique index attempts_open on hub.attempts (connection, subject, step) where outcome is null;
create index attempts_order on hub.attempts (tenant_id, order_id, first_started_at);
select hub.guard_table('hub.attempts');
grant select, insert, update on hub.attempts to hub_service;

create table hub.events (
  tenant_id text collate "C" not null,
  xid xid8 not null default pg_current_xact_id(),
  id bigint generated always as identity,
  type text not null,
  subject text collate "C" not null,
  location text collate "C" not null default '',
  data jsonb not null,
  correlation text not null default '',
  at timestamptz not null,
  primary key (tenant_id, xid, id)
);
create index events_subject on hub.events (tenant_id, subject, id);
select hub.guard_table('hub.events');
grant select, insert on hub.events to hub_service;

create table hub.alerts (
  tenant_id text collate "C" not null,
  id text collate "C" not null,
  dedupe_key text not null,
  kind text not null,
  severity text not null check (severity in ('warning', 'critical')),
  subject text not null,
  detail text not null,
  count integer not null default 1,
  raised_at timestamptz not null,
  seen_at timestamptz not null,
  acknowledged_at timestamptz,
  cleared_at timestamptz,
  primary key (tenant_id, id)
);
create unique index alerts_open on hub.alerts (tenant_id, dedupe_key) where cleared_at is null;
select hub.guard_table('hub.alerts');
grant select, insert, update on hub.alerts to hub_service;
