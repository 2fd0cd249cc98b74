"""The company's directories: LDAP servers check a password, OpenID Connect providers sign people in themselves."""
