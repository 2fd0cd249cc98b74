"""Accounts, sessions and the policy."""

from __future__ import annotations

from typing import Literal

from vlpro import schema
from vlpro.client.calls import Calls, part
from vlpro.schema import accounts as account_schema

__all__ = ["AccountCalls", "RoleFilter"]

RoleFilter = account_schema.RoleName | Literal["none"]


class AccountCalls(Calls):
    """Accounts, sessions and the policy."""

    # --- one's own account; in profile local there is none, and all of these are 404

    def account(self) -> account_schema.OwnAccount:
        """Who asks, and what they may do."""
        return self._call(account_schema.OwnAccount, "GET", "/v1/account")

    def own_sessions(self) -> account_schema.SessionList:
        """One's own sessions."""
        return self._call(account_schema.SessionList, "GET", "/v1/account/sessions")

    def end_own_session(self, session_id: str) -> schema.Deleted:
        """End one of one's own sessions."""
        return self._call(schema.Deleted, "DELETE", f"/v1/account/sessions/{part(session_id)}")

    def end_other_sessions(self) -> account_schema.Ended:
        """End all of one's own sessions but this one."""
        return self._call(account_schema.Ended, "DELETE", "/v1/account/sessions")

    def keys(self) -> account_schema.KeyList:
        """One's own API keys."""
        return self._call(account_schema.KeyList, "GET", "/v1/account/keys")

    def new_key(self, asked: account_schema.NewKey) -> account_schema.WithSecret:
        """Make a key; its secret is told now and never again."""
        return self._send(account_schema.WithSecret, "/v1/account/keys", asked)

    def revoke_key(self, key_id: str) -> schema.Deleted:
        """Revoke a key of one's own."""
        return self._call(schema.Deleted, "DELETE", f"/v1/account/keys/{part(key_id)}")

    # --- accounts and sessions, for administrators

    def accounts(
        self, query: str = "", *, role: RoleFilter | None = None, after: str = "", limit: int = 200
    ) -> account_schema.AccountList:
        """Accounts by login.

        Args:
            query: Part of a login, name or department.
            role: Only those with this role, or with none.
            after: The last login of the page before.
            limit: How many at most, up to 200.
        """
        asked = {"query": query, "after": after, "limit": limit, **({"role": role} if role else {})}
        return self._call(account_schema.AccountList, "GET", "/v1/accounts", params=asked)

    def account_of(self, account_id: str) -> account_schema.Account:
        """One account."""
        return self._call(account_schema.Account, "GET", f"/v1/accounts/{part(account_id)}")

    def new_account(self, asked: account_schema.NewAccount) -> account_schema.WithPassword:
        """Make an account; its one-time password is told now and never again."""
        return self._send(account_schema.WithPassword, "/v1/accounts", asked)

    def alter_account(self, account_id: str, change: account_schema.AccountChange) -> account_schema.Account:
        """Correct what is known of a person."""
        return self._send(account_schema.Account, f"/v1/accounts/{part(account_id)}", change, method="PUT")

    def disable_account(self, account_id: str) -> account_schema.Account:
        """End an account's sessions and keys; it signs in no more."""
        return self._call(account_schema.Account, "POST", f"/v1/accounts/{part(account_id)}/disable")

    def enable_account(self, account_id: str) -> account_schema.Account:
        """Let a disabled account sign in again."""
        return self._call(account_schema.Account, "POST", f"/v1/accounts/{part(account_id)}/enable")

    def unlock_account(self, account_id: str) -> account_schema.Account:
        """Forget an account's failed sign-ins."""
        return self._call(account_schema.Account, "POST", f"/v1/accounts/{part(account_id)}/unlock")

    def reset_password(self, account_id: str) -> account_schema.WithPassword:
        """Give a person a one-time password, which is told now and never again."""
        path = f"/v1/accounts/{part(account_id)}/reset-password"
        return self._call(account_schema.WithPassword, "POST", path)

    def reset_factors(self, account_id: str) -> account_schema.Account:
        """Remove a person's second factors."""
        return self._call(account_schema.Account, "POST", f"/v1/accounts/{part(account_id)}/reset-factors")

    def grant_role(self, account_id: str, role: account_schema.RoleName | None) -> account_schema.Account:
        """Give an account a role, another one, or none; its sessions and keys end."""
        path, change = f"/v1/accounts/{part(account_id)}/role", account_schema.RoleChange(role=role)
        return self._send(account_schema.Account, path, change, method="PUT")

    def set_level(self, account_id: str, level: account_schema.LevelName) -> account_schema.Account:
        """Say up to which level somebody may read."""
        path, change = f"/v1/accounts/{part(account_id)}/level", account_schema.LevelChange(level=level)
        return self._send(account_schema.Account, path, change, method="PUT")

    def sessions(self, account_id: str | None = None) -> account_schema.SessionList:
        """Sessions that live, the last used first, 200 at most; ``account_id``: whose."""
        asked = {"account": account_id} if account_id else {}
        return self._call(account_schema.SessionList, "GET", "/v1/sessions", params=asked)

    def end_session(self, session_id: str) -> schema.Deleted:
        """End somebody's session."""
        return self._call(schema.Deleted, "DELETE", f"/v1/sessions/{part(session_id)}")

    def end_sessions_of(self, account_id: str) -> account_schema.Ended:
        """End all sessions of an account."""
        return self._call(account_schema.Ended, "DELETE", f"/v1/accounts/{part(account_id)}/sessions")

    # --- the policy

    def policy(self) -> account_schema.PolicyVersion:
        """The version in force."""
        return self._call(account_schema.PolicyVersion, "GET", "/v1/policy")

    def decide_policy(self, asked: account_schema.NewPolicy) -> account_schema.PolicyVersion:
        """Put a new version in force."""
        return self._send(account_schema.PolicyVersion, "/v1/policy", asked, method="PUT")

    def policy_versions(self) -> account_schema.PolicyVersionList:
        """All versions, the newest first."""
        return self._call(account_schema.PolicyVersionList, "GET", "/v1/policy/versions")

    def policy_changes(self, old: int, new: int) -> account_schema.ChangeList:
        """What differs between two versions."""
        asked = {"old": old, "new": new}
        return self._call(account_schema.ChangeList, "GET", "/v1/policy/changes", params=asked)
