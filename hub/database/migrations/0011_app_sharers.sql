-- Crosses tenants: how many connections share a partner app's limits, so that each can take its part while Redis is away. A number only.
create function hub.app_sharers(p_app text) returns bigint
  language sql stable security definer set search_path = pg_catalog as $$
  select count(*) from hub.connections c where c.provider_app = p_app and c.status = 'active'
$$;
revoke all on function hub.app_sharers(text) from public;
grant execute on function hub.app_sharers(text) to hub_service;
-- Handing a function over needs the new owner's right to create, for a moment.
grant create on schema hub to hub_definer;
alter function hub.app_sharers(text) owner to hub_definer;
revoke create on schema hub from hub_definer;
