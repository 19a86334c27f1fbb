-- name: record_row(tenant, id, actor, action, subject, fields, correlation)!
insert into hub.audit_log (tenant_id, id, actor, action, subject, fields, correlation, at)
values (:tenant, :id, :actor, :action, :subject, :fields, :correlation, hub.clock());

-- name: page(after, subject, limit)
select id, actor, action, subject, fields, correlation as correlation_id, at
from hub.audit_log
where (:after::text is null or id < :after) and (:subject::text is null or subject = :subject)
order by id desc limit :limit;
