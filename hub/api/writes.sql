-- name: take_key(tenant, key, hash)$
insert into hub.idempotency_keys (tenant_id, key, body_hash, status, answer, at)
values (:tenant, :key, :hash, 0, '{}', hub.clock())
on conflict (tenant_id, key) do nothing returning true;

-- name: read_key(key)^
select body_hash, status, answer from hub.idempotency_keys where key = :key;

-- name: keep_answer(status, answer, key)!
update hub.idempotency_keys set status = :status, answer = :answer where key = :key;
