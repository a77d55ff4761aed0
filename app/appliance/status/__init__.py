"""How the whole appliance is, on one screen."""
