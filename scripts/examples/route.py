#!/usr/bin/env python3
"""Route calls from outside the engine: a script of the line protocol.

    route.py 127.0.0.1:5039             connect to a [listener] of extmodule.conf
    route.py unix:/run/patchbay.sock    the same on a Unix socket
    route.py                            started by [scripts]: stdin and stdout

Each call.route whose called number is in TABLE gets a target; all others are
left to the engine's next handler. --delay S answers S seconds late: any number
of calls may wait meanwhile, and nothing in the engine waits with them.
"""
import argparse
import heapq
import os
import select
import socket
import sys
import time

TABLE = {
    "600": "tone/dial",
    "bob": "sip/sip:bob@127.0.0.1:5070",
}


def escape(text, name=False):
    """Octets below 0x20, ':' and '%' (and '=' in names) as %X."""
    out = []
    for c in text:
        if c == "%":
            out.append("%%")
        elif ord(c) < 0x20 or c == ":" or (name and c == "="):
            out.append("%" + chr(ord(c) + 64))
        else:
            out.append(c)
    return "".join(out)


def unescape(text):
    out, i = [], 0
    while i < len(text):
        c = text[i]
        if c == "%":
            i += 1
            c = text[i] if i < len(text) else ""
            c = "%" if c == "%" else chr(ord(c) - 64)
        out.append(c)
        i += 1
    return "".join(out)


class Engine:
    """Lines to and from the engine; messages as (id, name, retval, params)."""

    def __init__(self, address):
        self.buffer = b""
        if not address:
            self.read_fd, self.write_fd = 0, 1
            return
        if address.startswith("unix:"):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address[5:])
        else:
            host, port = address.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.read_fd = self.write_fd = self.socket.fileno()
        self.send("%%>connect:global")

    def send(self, line):
        data = line.encode("utf-8", "surrogateescape") + b"\n"
        while data:
            data = data[os.write(self.write_fd, data):]

    def install(self, name, priority=100):
        self.send("%%%%>install:%d:%s" % (priority, name))

    def answer(self, ident, handled, retval=None, params=()):
        line = "%%%%<message:%s:%s:" % (ident, "true" if handled else "false")
        if retval is not None or params:
            line += ":" + escape(retval or "")
            for key, value in params:
                line += ":%s=%s" % (escape(key, True), escape(value))
        self.send(line)

    def output(self, text):
        self.send("%%%%>output:%s" % text.replace("\n", " "))

    def lines(self, timeout):
        """The lines that have come, at most `timeout` seconds from now; None at the end."""
        if not select.select([self.read_fd], [], [], timeout)[0]:
            return []
        data = os.read(self.read_fd, 65536)
        if not data:
            return None
        *whole, self.buffer = (self.buffer + data).split(b"\n")
        return [line.decode("utf-8", "surrogateescape") for line in whole]


def parse(line):
    """A delivered message, or None for any other line."""
    fields = line.split(":")
    if fields[0] != "%%>message" or len(fields) < 5:
        return None
    params = []
    for field in fields[5:]:
        key, _, value = field.partition("=")
        params.append((unescape(key), unescape(value)))
    return fields[1], unescape(fields[3]), unescape(fields[4]), params


def route(params, to=None):
    """What the message is answered with: (handled, retval, changes)."""
    called = dict(params).get("called")
    if to:
        return True, to, []
    if called in TABLE:
        return True, TABLE[called], [("routed_by", "route.py")]
    return False, None, []


def main():
    args = argparse.ArgumentParser(description="Route calls by the line protocol.")
    args.add_argument("address", nargs="?", help="host:port or unix:path")
    args.add_argument("--delay", type=float, default=0, help="seconds before each answer")
    args.add_argument("--priority", type=int, default=50)
    args.add_argument("--to", metavar="TARGET", help="route every call there")
    opts = args.parse_args()

    engine = Engine(opts.address)
    engine.send("%%>setlocal:trackparam:route.py")
    engine.install("call.route", opts.priority)
    waiting = []  # (when, order, id, answer)
    order = 0
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            engine.answer(waiting[0][2], *heapq.heappop(waiting)[3])
        lines = engine.lines(waiting[0][0] - now if waiting else None)
        if lines is None:
            return 0
        for line in lines:
            if line.startswith("Error in: "):
                sys.stderr.write("route.py: the engine said: %s\n" % line)
                continue
            message = parse(line)
            if message:
                order += 1
                heapq.heappush(waiting, (time.monotonic() + opts.delay, order, message[0],
                                         route(message[3], opts.to)))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, BrokenPipeError, ConnectionResetError):
        sys.exit(0)
