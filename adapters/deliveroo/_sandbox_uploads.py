"""Deliveroo's Menu API: uploads that are processed later and reported by webhook, in two versions, and what is off sale."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

from adapters._sandbox.calls import Answer, Call, Json, Refused, timestamp

from ._sandbox_checks import json_body, one_of, refuse, texts
from ._sandbox_consumers import Consumers
from ._sandbox_menu import Menu, MenuError
from ._sandbox_sites import Live, Shelf

_STATUSES = ("available", "unavailable", "hidden")
_MENUS_KEPT, _DRAFTS_KEPT, _JOBS_KEPT = 500, 50, 500
_XML = {"Content-Type": "application/xml"}


@dataclass
class Draft:
    """An address that takes a menu file for some seconds, and what was put there."""

    menu_id: str
    version: str
    until: float
    raw: bytes = b""
    key: str = field(default="")


def _storage_error(status: int, code: str) -> Refused:
    """A refusal of the file storage, which speaks XML."""
    body = f"<?xml version='1.0' encoding='UTF-8'?>\n<Error><Code>{code}</Code></Error>".encode()
    return Refused(Answer(status, body, _XML), f"file storage: {code}")


class Uploads(Consumers):
    """The menu part of Deliveroo's sandbox."""

    base_url: str

    def restart(self) -> None:
        super().restart()
        self._pending: dict[str, Json] = {}
        self._drafts: dict[str, Draft] = {}
        self._jobs: dict[str, Json] = {}

    # Both versions

    def _known_sites(self, value: Any) -> list[str]:
        sites = list(dict.fromkeys(texts(value, "site_ids")))
        if not sites:
            raise refuse("site_ids is not empty")
        if unknown := [each for each in sites if each not in self._stores]:
            raise refuse(f"no site {unknown[0]} in this brand", 404)
        return sites

    def _publish(self, call: Call, menu_id: str, new: Json, *, whole: bool = False) -> bool:
        """Process an upload: put it live or refuse it, and say which by webhook."""
        status, errors, sites = 200, None, new["site_ids"]
        if self._pending.get(menu_id) == new:
            del self._pending[menu_id]
        try:
            menu = Menu(new["menu"], {self._stores[each]["currency"] for each in sites}, whole=whole)
        except MenuError as error:
            self.reject(call, f"menu {menu_id} was refused: {error}", 202, injected=False)
            status, errors = 400, error.shown()
        else:
            self._live[menu_id] = Live(menu, new["name"], list(sites), self.ids.text(20))
            for ref, shelf in self._shelves.items():
                if ref in sites:
                    shelf.take(menu_id, menu)
                    shelf.pushes.append({"at": timestamp(time.time()), "menu_id": menu_id, "items": len(menu.items)})
                    del shelf.pushes[:-_MENUS_KEPT]
                elif shelf.menu_id == menu_id:
                    shelf.take(shelf.own_id, self._live[shelf.own_id].menu)
        result = {"http_status": status, "brand_id": self.brand, "menu_id": menu_id, "site_ids": sites, "errors": errors}
        self._tell("menu.upload_result", {"menu_upload_result": result}, menu_id)
        return status == 200

    def _uploaded(self, call: Call) -> Live:
        self._check_brand(call)
        live = self._live.get(call.params["menu"])
        if live is None or not live.uploaded:
            raise refuse(f"no menu {call.params['menu']}", 404)
        return live

    def _room(self, menu_id: str) -> None:
        if menu_id not in self._live and len(self._live) >= _MENUS_KEPT:
            raise refuse(f"a brand has at most {_MENUS_KEPT} menus")

    # First version

    def _put_menu(self, call: Call) -> Answer:
        self._check_brand(call)
        menu_id, body = call.params["menu"], json_body(call)
        if not isinstance(body.get("name"), str) or not body["name"]:
            raise refuse("name is a text and not empty")
        if not isinstance(body.get("menu"), dict):
            raise refuse("menu is an object")
        sites = self._known_sites(body.get("site_ids"))
        self._room(menu_id)
        new = {"name": body["name"], "site_ids": sites, "menu": body["menu"]}
        live = self._live.get(menu_id)
        if live is not None and live.shown() == new:
            return Answer(200, {"result": "MATCH_EXISTING_MENU"})
        gap, repeats = self.settings["menu_upload_gap_s"], self._pending.get(menu_id) == new
        if any(self.limits.over("uploads of a site", site, 1, gap) for site in sites):
            raise refuse(f"one upload of a site's menu in {gap:g} s", 429, repeats=repeats)
        for site in sites:
            self.limits.count("uploads of a site", site)
        self._pending[menu_id] = new
        self.later(self.settings["menu_delay_s"], lambda: self._finish(call, menu_id, new))
        return Answer(202)

    def _finish(self, call: Call, menu_id: str, new: Json) -> None:
        self._publish(call, menu_id, new)

    def _get_menu(self, call: Call) -> Answer:
        return Answer(200, self._uploaded(call).shown())

    # Third version

    def _ask_upload(self, call: Call) -> Answer:
        self._check_brand(call)
        if call.body:
            raise refuse("this call takes no body: the menu goes to upload_url")
        menu_id = call.params["menu"]
        self._room(menu_id)
        draft = Draft(menu_id, self.ids.text(20), time.time() + self.settings["upload_url_s"], key=self.ids.text(32))
        self._drafts[draft.key] = draft
        for old in list(self._drafts)[:-_DRAFTS_KEPT]:
            del self._drafts[old]
        url = f"{self.base_url}/menu-files/{draft.key}?X-Amz-Expires={self.settings['upload_url_s']:g}"
        return Answer(200, {"id": menu_id, "upload_url": url, "version": draft.version})

    def _put_file(self, call: Call) -> Answer:
        draft = self._drafts.get(call.params["key"])
        if "authorization" in call.headers:
            raise _storage_error(400, "InvalidArgument")
        if draft is None or draft.until < time.time():
            raise _storage_error(403, "AccessDenied")
        draft.raw = call.body
        return Answer(200, None, {"ETag": f'"{draft.version}"'})

    def _get_file(self, call: Call) -> Answer:
        live = next((each for each in self._live.values() if each.version == call.params["key"] and each.uploaded), None)
        if live is None:
            raise _storage_error(404, "NoSuchKey")
        return Answer(200, {"site_ids": live.sites, "menu": live.menu.body})

    def _get_version(self, call: Call) -> Answer:
        live = self._uploaded(call)
        url = f"{self.base_url}/menu-files/{live.version}"
        return Answer(200, {"id": call.params["menu"], "download_url": url, "version": live.version})

    def _start_job(self, call: Call) -> Answer:
        self._check_brand(call)
        body = json_body(call, action=str, params=dict)
        one_of(body, "action", ("publish_menu_to_live",))
        params = body.get("params") or {}
        menu_id, version = params.get("menu_id"), params.get("version")
        drafts = [each for each in self._drafts.values() if each.menu_id == menu_id and version in (None, each.version) and each.raw]
        if not drafts:
            raise refuse(f"no menu file was uploaded for menu {menu_id!r}")
        try:
            content = json.loads(drafts[-1].raw)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or not isinstance(content.get("menu"), dict):
            raise refuse("the uploaded file is not {site_ids, menu}")
        sites = self._known_sites(params.get("site_ids") or content.get("site_ids"))
        job_id = self.ids.uuid()
        self._jobs[job_id] = job = {"job_id": job_id, "status": "in_progress"}
        for old in list(self._jobs)[:-_JOBS_KEPT]:
            del self._jobs[old]
        new = {"name": str(content.get("name", menu_id)), "site_ids": sites, "menu": content["menu"]}
        self.later(self.settings["menu_delay_s"], lambda: self._end_job(call, str(menu_id), new, job))
        return Answer(200, {"job_id": job_id})

    def _end_job(self, call: Call, menu_id: str, new: Json, job: Json) -> None:
        job["status"] = "success" if self._publish(call, menu_id, new, whole=True) else "failed"

    def _get_job(self, call: Call) -> Answer:
        self._check_brand(call)
        job = self._jobs.get(call.params["job"])
        if job is None:
            raise refuse(f"no job {call.params['job']}", 404)
        return Answer(200, job)

    # What is off sale

    def _shelf_of(self, call: Call) -> tuple[str, Shelf]:
        """The site of a call and its shelf; by a menu's id only while the site sells that menu."""
        site = self._site(call)["ref"]
        shelf = self._shelves[site]
        if "menu" in call.params and shelf.menu_id != call.params["menu"]:
            raise refuse(f"site {site} does not sell a menu {call.params['menu']}", 404)
        return site, shelf

    def _get_off(self, call: Call) -> Answer:
        _, shelf = self._shelf_of(call)
        found = {status: [item for item, held in shelf.off.items() if held == status] for status in _STATUSES[1:]}
        return Answer(200, {"unavailable_ids": found["unavailable"] or None, "hidden_ids": found["hidden"] or None})

    def _change_off(self, call: Call) -> Answer:
        site, shelf = self._shelf_of(call)
        body = json_body(call, item_unavailabilities=list)
        wanted = body.get("item_unavailabilities")
        if not wanted or not all(isinstance(each, dict) and isinstance(each.get("item_id"), str) for each in wanted):
            raise refuse("item_unavailabilities is a list of {item_id, status} and not empty")
        statuses = {each["item_id"]: one_of(each, "status", _STATUSES) for each in wanted}
        self.limits.take("changes of unavailabilities", site, 1, self.settings["unavailable_post_gap_s"])
        menu = self._live[shelf.menu_id].menu
        if unknown := [each for each in statuses if each not in menu.items]:
            raise refuse(f"no item {unknown[0]}", 404)
        for item, status in statuses.items():
            shelf.switch(item, status)
        return Answer(204)

    def _replace_off(self, call: Call) -> Answer:
        site, shelf = self._shelf_of(call)
        body = json_body(call, unavailable_ids=list, hidden_ids=list)
        unavailable, hidden = (texts(body.get(name) or [], name) for name in ("unavailable_ids", "hidden_ids"))
        if both := set(unavailable) & set(hidden):
            raise refuse(f"{min(both)} is both unavailable and hidden")
        self.limits.take("replacements of unavailabilities", site, 1, self.settings["unavailable_put_gap_s"])
        items = self._live[shelf.menu_id].menu.items
        wanted = {**dict.fromkeys(unavailable, "unavailable"), **dict.fromkeys(hidden, "hidden")}
        shelf.off = {item: status for item, status in wanted.items() if item in items}
        return Answer(204)
