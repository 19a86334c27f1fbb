-- name: find_login(email)
select user_id, password_hash, totp_sealed, operator, tenant_id, role from hub.find_login(:email);

-- name: session_create(id, user, tenant, hash, seconds)!
select hub.session_create(:id, :user, :tenant, :hash, :seconds);

-- name: session_rotate(id, hash, new_hash)^
select outcome, user_id, tenant_id, role, operator from hub.session_rotate(:id, :hash, :new_hash);

-- name: session_revoke(id)$
select hub.session_revoke(:id);

-- name: user_find(user)^
select id, email, totp_sealed, operator from hub.user_find(:user);

-- name: user_totp_store(user, sealed)$
select hub.user_totp_store(:user, :sealed);

-- name: find_api_key(hash)^
select tenant_id, id, role from hub.find_api_key(:hash);

-- name: sessions(user, after, limit)
select id, generation, created_at, expires_at from hub.sessions
where user_id = :user and revoked_at is null and expires_at > hub.clock() and (:after::text is null or id > :after)
order by id limit :limit;

-- name: session_of(id, user)$
select id from hub.sessions where id = :id and user_id = :user and revoked_at is null;

-- name: api_key_insert(tenant, id, name, hash, role)!
insert into hub.api_keys (tenant_id, id, name, key_hash, role) values (:tenant, :id, :name, :hash, :role);

-- name: api_keys(after, limit)
select id, name, role, created_at, revoked_at from hub.api_keys where (:after::text is null or id > :after) order by id limit :limit;

-- name: api_key(id)^
select id, name, role, created_at, revoked_at from hub.api_keys where id = :id;

-- name: api_key_revoke(id)$
update hub.api_keys set revoked_at = hub.clock() where id = :id and revoked_at is null returning id;
