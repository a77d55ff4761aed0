"""The maintenance calendar: what is to be looked at each day, week, month and quarter, looked at by the machine."""
