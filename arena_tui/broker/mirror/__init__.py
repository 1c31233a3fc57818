"""What every shared broker is made of: a local cache of a remote log, and a queue of calls."""
