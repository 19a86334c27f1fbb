-- Consents under way: a tenant's person was sent to the vendor's page and comes back with the state, once, within minutes.
create table hub.oauth_states (
  tenant_id text collate "C" not null,
  state_hash bytea not null,
  connection text collate "C" not null,
  user_id text collate "C" not null,
  redirect_uri text not null,
  expires_at timestamptz not null,
  primary key (state_hash),
  foreign key (tenant_id, connection) references hub.connections (tenant_id, id)
);
create index oauth_states_end on hub.oauth_states (tenant_id, expires_at);
select hub.guard_table('hub.oauth_states');
grant select, insert, delete on hub.oauth_states to hub_service;

-- The vendor sends a browser back that names no tenant: whoever brings an unguessable state gets what it was made for, once.
create function hub.oauth_state_take(p_provider text, p_hash bytea)
  returns table (tenant_id text, connection text, user_id text, redirect_uri text)
  language sql security definer set search_path = pg_catalog as $$
  delete from hub.oauth_states s using hub.connections c
  where s.state_hash = p_hash and s.expires_at > hub.clock()
    and c.tenant_id = s.tenant_id and c.id = s.connection and c.provider = p_provider and c.status <> 'removed'
  returning s.tenant_id, s.connection, s.user_id, s.redirect_uri
$$;

-- Handing a function over needs the new owner's right to create, for a moment.
grant create on schema hub to hub_definer;
revoke all on function hub.oauth_state_take(text, bytea) from public;
grant execute on function hub.oauth_state_take(text, bytea) to hub_service;
alter function hub.oauth_state_take(text, bytea) owner to hub_definer;
revoke create on schema hub from hub_definer;
