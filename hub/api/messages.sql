-- name: messages(connection, after, state, limit)
-- A backlog is long and a page is short: ids first, then what belongs to each until the page is full.
with ids as materialized (
  select d.id, false as dead from hub.due d where d.connection = :connection and d.id > coalesce(:after::bigint, 0)
  union all
  select l.id, true from hub.dead_letters l
  where l.connection = :connection and l.resolved_at is null and l.id > coalesce(:after::bigint, 0)
)
select t.* from (select * from ids order by id) i cross join lateral (
  select d.id, d.connection, case
      when d.claimed_epoch is not null then 'running'
      when d.available_at > hub.clock() then 'waiting'
      when d.lane > 0 and (
        exists (select 1 from hub.due x where x.connection = d.connection and x.subject = d.subject and x.lane > 0 and x.id < d.id)
        or exists (select 1 from hub.dead_letters l
                   where l.connection = d.connection and l.subject = d.subject and l.resolved_at is null and l.lane > 0))
        then 'waiting'
      else 'ready' end as state,
    m.kind, d.subject, d.lane::integer as lane, d.tries, '' as reason, '' as detail, d.at, d.available_at, d.deadline_at,
    coalesce(m.correlation, '') as correlation_id
  from hub.due d join hub.messages m on m.id = d.id and m.at = d.at
  where not i.dead and d.id = i.id
  union all
  select l.id, l.connection, 'dead', l.kind, l.subject, l.lane::integer, l.tries, l.reason, l.detail, l.message_at, null, null,
    coalesce(m.correlation, '')
  from hub.dead_letters l left join hub.messages m on m.id = l.id and m.at = l.message_at
  where i.dead and l.id = i.id
) t
where (:state::text is null or t.state = :state) order by i.id limit :limit;

-- name: lock_dead(id)^
select l.id, l.connection, l.kind, l.subject, l.lane, l.tries, l.reason, l.detail, l.message_at, l.resolution,
  exists (select 1 from hub.messages m where m.id = l.id and m.at = l.message_at) as kept
from hub.dead_letters l where l.id = :id for update of l;

-- name: is_due(id)$
select exists (select 1 from hub.due where id = :id);

-- name: revive(id)!
insert into hub.due (id, tenant_id, connection, subject, lane, at, available_at)
select id, tenant_id, connection, subject, lane, message_at, hub.clock() from hub.dead_letters where id = :id
on conflict (id) do nothing;

-- name: resolve(resolution, by, why, id)!
update hub.dead_letters set resolution = :resolution, resolved_at = hub.clock(), resolved_by = :by, why = :why where id = :id;

-- name: skip_superseded(by, why, connection, subject, kind)
update hub.dead_letters set resolution = 'skipped', resolved_at = hub.clock(), resolved_by = :by, why = :why
where connection = :connection and subject = :subject and kind = :kind and resolved_at is null returning id;
