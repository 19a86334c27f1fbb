-- What is on sale where: as the POS tells it (place_ref is its location), and as each channel confirmed it (place_ref is its store).
create table hub.stock (
  tenant_id text collate "C" not null,
  connection text collate "C" not null,
  place_ref text not null,
  item text not null,
  kind text not null default 'item' check (kind in ('item', 'modifier')),
  available boolean not null,
  quantity integer,
  until timestamptz,
  told_at timestamptz not null,
  primary key (tenant_id, connection, place_ref, item),
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
select hub.guard_table('hub.stock');
grant select, insert, update, delete on hub.stock to hub_service;

-- The vendor's stores and locations as it last listed them, and how a platform shows each.
create table hub.vendor_stores (
  tenant_id text collate "C" not null,
  connection text collate "C" not null,
  ref text not null,
  name text not null default '',
  currency text not null default '',
  timezone text not null default '',
  status jsonb,
  seen_at timestamptz not null,
  primary key (tenant_id, connection, ref),
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
select hub.guard_table('hub.vendor_stores');
grant select, insert, update, delete on hub.vendor_stores to hub_service;

-- Crosses tenants: a courier's call names an order and no store. Only orders of this app's own connections are looked at, and one
-- that two connections hold is nobody's.
create function hub.route_order(p_app text, p_order text) returns table (tenant_id text, connection text)
  language sql stable security definer set search_path = pg_catalog as $$
  select min(c.tenant_id), min(c.id)
  from hub.orders o join hub.connections c on c.tenant_id = o.tenant_id and c.id = o.delivery_connection
  where c.provider_app = p_app and c.status <> 'removed' and o.platform_order_id = p_order
  having count(*) = 1
$$;
revoke all on function hub.route_order(text, text) from public;
grant execute on function hub.route_order(text, text) to hub_service;
-- Handing a function over needs the new owner's right to create, for a moment.
grant create on schema hub to hub_definer;
alter function hub.route_order(text, text) owner to hub_definer;
revoke create on schema hub from hub_definer;
create index orders_platform_id on hub.orders (platform_order_id);
