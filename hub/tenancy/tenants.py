"""Tenants and people. A person may be a member of several tenants, with one password."""

import re
from dataclasses import dataclass

from hub.identity.passwords import MINIMUM, hash_password, new_password
from hub.identity.principal import Role
from hub.ids import new_id
from hub.tenancy.errors import Conflict, Invalid, Unknown
from hub.tenancy.sql import TENANCY, Queries

_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,189}")


@dataclass(frozen=True, slots=True)
class NewUser:
    """A person; `password` is set only when it was made here, to be shown once."""

    id: str
    password: str | None


async def create_tenant(database: Queries, name: str, *, demo: bool = False) -> str:
    """Make a tenant and return its id; raises Invalid."""
    if not name.strip() or len(name) > 200:
        raise Invalid(("/name", "a name has between 1 and 200 characters"))
    tenant = new_id("ten")
    await TENANCY.tenant_create(database, id=tenant, name=name.strip(), demo=demo)
    return tenant


async def create_user(
    database: Queries,
    email: str,
    *,
    tenant: str | None,
    role: Role = "viewer",
    password: str | None = None,
    operator: bool = False,
    reset: bool = False,
) -> NewUser:
    """Make a person a member of a tenant, with a generated password when none is given; raises Invalid, Unknown, Conflict.

    Somebody who is there already keeps the password, unless `reset`; then a password in the call is a Conflict.
    """
    if not _EMAIL.fullmatch(email):
        raise Invalid(("/email", "this is no e-mail address"))
    if tenant is not None and not await TENANCY.tenant_exists(database, id=tenant):
        raise Unknown(f"tenant {tenant}", "/tenant")
    known = await TENANCY.find_login(database, email=email)
    if known and not reset:
        if password is not None:
            raise Conflict("somebody with this e-mail is there already: leave the password out to make them a member")
        hashed, made = known[0]["password_hash"], None
    else:
        made = new_password() if password is None else None
        try:
            hashed = await hash_password(password if password is not None else str(made))
        except ValueError as error:
            raise Invalid(("/password", f"a password has between {MINIMUM} and 200 characters")) from error
    user = await TENANCY.user_create(database, id=new_id("usr"), email=email, hash=hashed, operator=operator, tenant=tenant, role=role)
    return NewUser(str(user), made)
