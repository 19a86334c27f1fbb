-- An alert is told on the stream too, whoever raises it. A repeat of an open alert counts up and is not told again.

create function hub.alert_raised() returns trigger
  language plpgsql set search_path = pg_catalog as $$
begin
  insert into hub.events (tenant_id, type, subject, data, at)
  values (new.tenant_id, 'alert.raised', new.subject,
          jsonb_build_object('step', 'alert', 'alert', new.id, 'kind', new.kind, 'severity', new.severity, 'detail', new.detail),
          hub.clock());
  return null;
end
$$;

create trigger alert_raised after insert on hub.alerts for each row execute function hub.alert_raised();
