"""The program on the Linux side of a test script: one call a line on stdin, its result on stdout.

Sockets are non-blocking; a result is a number or an errno name. The same calls, on a Millrace stack,
are in src/sim/script-host.ts. Stream contents follow the scripts' pattern.
"""
import errno
import fcntl
import socket
import struct
import sys
import termios

ADDRESS, HOST_PORT = sys.argv[1], int(sys.argv[2])
listener = None
sock = None
sent = 0
received = 0


def pattern(start, count):
    return bytes(((i * 7 + (i >> 8)) & 0xFF) for i in range(start, start + count))


def listen(args):
    global listener
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for name, value in PENDING_OPTIONS:
        apply_option(listener, name, value)
    listener.setblocking(False)
    listener.bind((ADDRESS, HOST_PORT))
    listener.listen(int(args[0]) if args else 16)
    return 0


def accept(_args):
    global sock
    sock, _ = listener.accept()
    sock.setblocking(False)
    return 0


def connect(args):
    global sock
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    for name, value in PENDING_OPTIONS:
        apply_option(sock, name, value)
    sock.setblocking(False)
    sock.connect((args[0], int(args[1])))
    return 0


def write(args):
    global sent
    flags = socket.MSG_NOSIGNAL
    if "more" in args:
        flags |= socket.MSG_MORE
    if "oob" in args:
        flags |= socket.MSG_OOB
    n = sock.send(pattern(sent, int(args[0])), flags)
    sent += n
    return n


def read(args):
    global received
    data = sock.recv(int(args[0]), socket.MSG_OOB if "oob" in args else 0)
    if "oob" in args:
        return len(data)
    if data != pattern(received, len(data)):
        return "CORRUPT"
    received += len(data)
    return len(data)


def shutdown(args):
    sock.shutdown({"rd": 0, "wr": 1, "rdwr": 2}[args[0]])
    return 0


def close(_args):
    sock.close()
    return 0


def error(_args):
    value = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[value] if value else 0


def atmark(_args):
    return struct.unpack("i", fcntl.ioctl(sock, 0x8905, b"\0\0\0\0"))[0]


def unread(_args):
    return struct.unpack("i", fcntl.ioctl(sock, termios.FIONREAD, b"\0\0\0\0"))[0]


OPTIONS = {
    "nodelay": (socket.IPPROTO_TCP, socket.TCP_NODELAY),
    "cork": (socket.IPPROTO_TCP, socket.TCP_CORK),
    "quickack": (socket.IPPROTO_TCP, socket.TCP_QUICKACK),
    "maxseg": (socket.IPPROTO_TCP, socket.TCP_MAXSEG),
    "user_timeout": (socket.IPPROTO_TCP, 18),
    "keepidle": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    "keepintvl": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    "keepcnt": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
    "keepalive": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "oobinline": (socket.SOL_SOCKET, socket.SO_OOBINLINE),
    "rcvbuf": (socket.SOL_SOCKET, socket.SO_RCVBUF),
    "sndbuf": (socket.SOL_SOCKET, socket.SO_SNDBUF),
    "syncnt": (socket.IPPROTO_TCP, socket.TCP_SYNCNT),
    "defer_accept": (socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT),
    "linger2": (socket.IPPROTO_TCP, socket.TCP_LINGER2),
}
PENDING_OPTIONS = []


def apply_option(target, name, value):
    if name == "linger":
        target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, value))
    else:
        target.setsockopt(*OPTIONS[name], value)


def set_option(args):
    """`set NAME VALUE`; before there is a socket, the option is for the next one."""
    if sock is None:
        PENDING_OPTIONS.append((args[0], int(args[1])))
    else:
        apply_option(sock, args[0], int(args[1]))
    return 0


CALLS = {
    "listen": listen,
    "accept": accept,
    "connect": connect,
    "write": write,
    "read": read,
    "shutdown": shutdown,
    "close": close,
    "error": error,
    "atmark": atmark,
    "unread": unread,
    "set": set_option,
}

print("ready", flush=True)
for line in sys.stdin:
    name, *rest = line.split()
    try:
        result = CALLS[name](rest)
    except OSError as e:
        result = errno.errorcode.get(e.errno, str(e.errno))
    print(result, flush=True)
