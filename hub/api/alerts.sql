-- name: alerts(after, cleared, limit)
select id, kind, severity, subject, detail, count, raised_at, seen_at, acknowledged_at, cleared_at from hub.alerts
where id < coalesce(:after::text, 'alr~') and (not :cleared::boolean or cleared_at is not null)
order by id desc limit :limit;

-- name: open_alerts(after, limit)
select id, kind, severity, subject, detail, count, raised_at, seen_at, acknowledged_at, cleared_at from hub.alerts
where id < coalesce(:after::text, 'alr~') and cleared_at is null order by id desc limit :limit;

-- name: acknowledge(id)^
update hub.alerts set acknowledged_at = coalesce(acknowledged_at, hub.clock()) where id = :id
returning id, kind, severity, subject, detail, count, raised_at, seen_at, acknowledged_at, cleared_at;
