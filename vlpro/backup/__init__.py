"""Backups: one sealed file of all that is stored, made while the service runs; read back, verified, put back."""
