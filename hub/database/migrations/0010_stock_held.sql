-- What a person took off sale in the hub where the POS cannot be told: it stays off until a person, or its own end, puts it back.
alter table hub.stock add column held boolean not null default false;
