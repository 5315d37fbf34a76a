"""What the integration tests drive: the engine as a process, and SIP peers around it.

Every wait ends on an event (a line, a packet, an answer, an exit) and has a bound.
"""
