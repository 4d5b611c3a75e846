"""What ``check_discipline`` does: contests between tenants, and obligations."""
