"""Who may do what: accounts, sign-in, second factors, sessions, keys, roles, labels, and the policy over them."""
