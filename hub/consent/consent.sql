-- name: forget_old_states()!
delete from hub.oauth_states where expires_at <= hub.clock();

-- name: keep_state(tenant, hash, connection, user, redirect_uri, seconds)!
insert into hub.oauth_states (tenant_id, state_hash, connection, user_id, redirect_uri, expires_at)
values (:tenant, :hash, :connection, :user, :redirect_uri, hub.clock() + make_interval(secs => :seconds));

-- name: take_state(provider, hash)^
select tenant_id, connection, user_id, redirect_uri from hub.oauth_state_take(:provider, :hash);

-- name: role_of(user)$
select role from hub.memberships where user_id = :user
union all select role from hub.api_keys where id = :user and revoked_at is null limit 1;

-- name: attach_app(app, id)!
update hub.connections set provider_app = :app, version = version + 1 where id = :id;

-- name: lift_suspension(id)$
update hub.connections set status = 'active', status_reason = '', version = version + 1
where id = :id and status = 'suspended' returning id;

-- name: clear_alert(dedupe_key)!
update hub.alerts set cleared_at = hub.clock() where dedupe_key = :dedupe_key and cleared_at is null;
