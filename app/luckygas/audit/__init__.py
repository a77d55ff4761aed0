"""Who changed what, when and from where: recorded with the change itself, linked so that no entry can vanish unseen."""
