-- name: tenant_create(id, name, demo)!
select hub.tenant_create(:id, :name, :demo);

-- name: tenants(after, limit)
select id, name, demo, created_at from hub.tenants_list() where (:after::text is null or id > :after) order by id limit :limit;

-- name: tenant_exists(id)$
select exists (select 1 from hub.tenants_list() t where t.id = :id);

-- name: find_login(email)
select user_id, password_hash, operator, tenant_id, role from hub.find_login(:email);

-- name: user_create(id, email, hash, operator, tenant, role)$
select hub.user_create(:id, :email, :hash, :operator, :tenant, :role);

-- name: members(after, limit)
select id, email, role, operator, totp, created_at from hub.members_list()
where (:after::text is null or id > :after) order by id limit :limit;

-- name: provider_app_create(id, provider, environment, name, credential, sealed)!
select hub.provider_app_create(:id, :provider, :environment, :name, :credential, :sealed);

-- name: provider_apps(provider, after, limit)
select id, provider, environment, name from hub.provider_app_keys(:provider)
where (:after::text is null or id > :after) order by id limit :limit;

-- name: event(tenant, type, subject, location, data, correlation)!
insert into hub.events (tenant_id, type, subject, location, data, correlation, at)
values (:tenant, :type, :subject, :location, :data, :correlation, hub.clock());

-- name: become(tenant)!
select set_config('hub.tenant', :tenant, true);

-- name: operator_alert(id, dedupe_key, kind, detail)!
select hub.operator_alert(:id, :dedupe_key, :kind, :detail);
