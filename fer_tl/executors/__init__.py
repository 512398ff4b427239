"""Where units of work are done: processes of this machine. A unit is a function and its settings, whatever they are."""
