"""What people do after the first start, at a service behind nginx; run as a program on the machine where it is.

    python administrators.py URL CA-FILE LOGIN=PASSWORD LOGIN=PASSWORD

The first of the two is the security administrator, the second the system administrator. Both sign in for the first
time and set up an authenticator app; an audit administrator is made and appointed, who signs in, too; the policy's
addresses for administration are narrowed to theirs. Each sits at another address, as nginx limits tries by address.
"""

from __future__ import annotations

import re
import ssl
import sys

import httpx
import pyotp


class Administrator:
    """Somebody at a browser.

    Args:
        url: Of the service.
        ca: PEM file of the authority of its certificate.
        login: Whose.
        password: The present one; a one-time password is changed.
        address: Where from.
    """

    def __init__(self, url: str, ca: str, login: str, password: str, *, address: str) -> None:
        trusted = ssl.create_default_context(cafile=ca)
        transport = httpx.HTTPTransport(verify=trusted, local_address=address)
        self.http = httpx.Client(base_url=url, transport=transport, headers={"origin": url}, timeout=30)
        self._sign_in(login, password)

    def _sign_in(self, login: str, password: str) -> None:
        self._form("/login", login=login, password=password)
        for _ in range(5):
            page = self.http.get("/login/continue", headers={"accept": "text/html"})
            if "__Host-vlpro_session" in self.http.cookies:
                return
            if 'name="new"' in page.text:
                self._form("/login/password", new=f"{password}-anders", repeat=f"{password}-anders")
            elif found := re.search(r'id="secret">([A-Z2-7 ]+)<', page.text):
                self._form("/login/enrol", code=pyotp.TOTP(found[1].replace(" ", "")).now())
            elif 'name="kept"' in page.text:
                self._form("/login/recovery-codes", kept="yes")
            else:
                break
        raise SystemExit(f"{login} is not signed in: {page.status_code} {page.text[-500:]}")

    def _form(self, path: str, **fields: str) -> None:
        reply = self.http.post(path, data=fields, headers={"accept": "text/html"})
        if reply.status_code != 303:
            raise SystemExit(f"{path}: {reply.status_code} {reply.text[-500:]}")

    def send(self, method: str, path: str, **body: object) -> dict[str, object]:
        """Ask the API; its answer."""
        return dict(self.http.request(method, path, json=body).raise_for_status().json())


def main() -> None:
    url, ca, first, second = sys.argv[1:]
    security = Administrator(url, ca, *first.split("=", 1), address="10.20.0.6")
    system = Administrator(url, ca, *second.split("=", 1), address="10.20.0.7")
    made = system.send("POST", "/v1/accounts", login="audit1", name="Wang")
    account = made["account"]
    assert isinstance(account, dict)
    security.send("PUT", f"/v1/accounts/{account['id']}/role", role="audit")
    Administrator(url, ca, "audit1", str(made["password"]), address="10.20.0.8")
    base = security.http.get("/v1/policy").raise_for_status().json()["version"]
    listed = {"administration_addresses": ["10.20.0.0/24"]}
    security.send("PUT", "/v1/policy", content=listed, base=base, note="where administrators sit")


if __name__ == "__main__":
    main()
