"""Zero egress, enforced by the kernel: a sealed process can make no network socket, and cannot be made able to."""
