-- name: alerts(after, state, limit)
select id, kind, severity, subject, detail, count, raised_at, seen_at, acknowledged_at, cleared_at from hub.alerts
where (:after::text is null or id < :after)
  and case :state when 'open' then cleared_at is null when 'cleared' then cleared_at is not null else true end
order by id desc limit :limit;

-- name: acknowledge(id)^
update hub.alerts set acknowledged_at = coalesce(acknowledged_at, hub.clock()) where id = :id
returning id, kind, severity, subject, detail, count, raised_at, seen_at, acknowledged_at, cleared_at;
