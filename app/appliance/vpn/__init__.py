"""The VPN: who may come in to administer this machine."""
