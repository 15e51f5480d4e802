"""The program on the Linux side of a test script: one call a line on stdin, its result on stdout.

A line is the number of the script's connection, the call and its arguments. Sockets are
non-blocking; a result is a number or an errno name. The same calls, on a Millrace stack, are in
src/sim/script-host.ts. Stream contents follow the scripts' pattern.
"""
import errno
import fcntl
import select
import socket
import struct
import sys
import termios

ADDRESS, HOST_PORT, DEVICE = sys.argv[1], int(sys.argv[2]), sys.argv[3]
FAMILY = socket.AF_INET6 if ":" in ADDRESS else socket.AF_INET


class Connection:
    def __init__(self):
        self.sock = None
        self.sent = 0
        self.received = 0


listener = None
connections = {}
connection = None


def pattern(start, count):
    return bytes(((i * 7 + (i >> 8)) & 0xFF) for i in range(start, start + count))


def new_socket():
    made = socket.socket(FAMILY, socket.SOCK_STREAM)
    for name, value in PENDING_OPTIONS:
        apply_option(made, name, value)
    made.setblocking(False)
    return made


def listen(args):
    global listener
    listener = new_socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ADDRESS, HOST_PORT))
    listener.listen(int(args[0]) if args else 16)
    return 0


def unlisten(_args):
    listener.close()
    return 0


def accept(_args):
    connection.sock, _ = listener.accept()
    connection.sock.setblocking(False)
    connection.sent = 0
    connection.received = 0
    return 0


def connect(args):
    connection.sock = new_socket()
    connection.sock.connect((args[0], int(args[1])))
    return 0


def write(args):
    flags = socket.MSG_NOSIGNAL
    if "more" in args:
        flags |= socket.MSG_MORE
    if "oob" in args:
        flags |= socket.MSG_OOB
    n = connection.sock.send(pattern(connection.sent, int(args[0])), flags)
    connection.sent += n
    return n


def read(args):
    flags = (socket.MSG_OOB if "oob" in args else 0) | (socket.MSG_PEEK if "peek" in args else 0)
    data = connection.sock.recv(int(args[0]), flags)
    if "oob" in args:
        return len(data)
    if data != pattern(connection.received, len(data)):
        return "CORRUPT"
    if "peek" not in args:
        connection.received += len(data)
    return len(data)


def skip(args):
    """Bytes of the stream that `read` will not see, such as an urgent one."""
    connection.received += int(args[0])
    return 0


def shutdown(args):
    connection.sock.shutdown({"rd": 0, "wr": 1, "rdwr": 2}[args[0]])
    return 0


def close(_args):
    connection.sock.close()
    return 0


def error(_args):
    value = connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[value] if value else 0


def atmark(_args):
    return struct.unpack("i", fcntl.ioctl(connection.sock, 0x8905, b"\0\0\0\0"))[0]


def unread(_args):
    return struct.unpack("i", fcntl.ioctl(connection.sock, termios.FIONREAD, b"\0\0\0\0"))[0]


READINESS = (("IN", 1), ("PRI", 2), ("OUT", 4), ("ERR", 8), ("HUP", 16), ("RDHUP", 0x2000))


def poll(_args):
    poller = select.poll()
    poller.register(connection.sock, sum(bit for _, bit in READINESS))
    bits = sum(bits for _, bits in poller.poll(0))
    return "|".join(name for name, bit in READINESS if bits & bit) or "0"


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
    "window_clamp": (socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP),
    "tos": (socket.IPPROTO_IP, socket.IP_TOS),
    "ttl": (socket.IPPROTO_IP, socket.IP_TTL),
}
PENDING_OPTIONS = []


def apply_option(target, name, value):
    if name == "linger":
        target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, value))
    else:
        target.setsockopt(*OPTIONS[name], value)


def set_option(args):
    """`set NAME VALUE`; before there is a socket, the option is for the next one."""
    if connection.sock is None:
        PENDING_OPTIONS.append((args[0], int(args[1])))
    else:
        apply_option(connection.sock, args[0], int(args[1]))
    return 0


def get_option(args):
    return connection.sock.getsockopt(*OPTIONS[args[0]])


def udp_bind(args):
    """A datagram socket of the address's family."""
    family = socket.AF_INET6 if ":" in args[0] else socket.AF_INET
    connection.sock = socket.socket(family, socket.SOCK_DGRAM)
    connection.sock.setblocking(False)
    # Other cases run beside this one, on devices of their own.
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, DEVICE.encode())
    connection.sock.bind((args[0], int(args[1])))
    return 0


def udp_connect(args):
    connection.sock.connect((args[0], int(args[1])))
    return 0


def udp_send(args):
    return connection.sock.send(pattern(0, int(args[0])))


def udp_sendto(args):
    return connection.sock.sendto(pattern(0, int(args[2])), (args[0], int(args[1])))


def udp_recv(args):
    return len(connection.sock.recv(int(args[0])))


def membership(group):
    if ":" in group:
        index = socket.if_nametoindex(DEVICE)
        return socket.IPPROTO_IPV6, socket.inet_pton(socket.AF_INET6, group) + struct.pack("I", index)
    index = struct.pack("4s4si", socket.inet_aton(group), bytes(4), socket.if_nametoindex(DEVICE))
    return socket.IPPROTO_IP, index


def udp_join(args):
    level, request = membership(args[0])
    connection.sock.setsockopt(level, 35 if level == 0 else 20, request)
    return 0


def udp_leave(args):
    level, request = membership(args[0])
    connection.sock.setsockopt(level, 36 if level == 0 else 21, request)
    return 0


def source_request(args):
    """struct ip_mreq_source: group, interface, source."""
    interface = socket.inet_aton(ADDRESS)
    return socket.inet_aton(args[0]) + interface + socket.inet_aton(args[1])


def udp_join_source(args):
    connection.sock.setsockopt(socket.IPPROTO_IP, 39, source_request(args))
    return 0


def udp_leave_source(args):
    connection.sock.setsockopt(socket.IPPROTO_IP, 40, source_request(args))
    return 0


CALLS = {
    "udp_bind": udp_bind,
    "udp_connect": udp_connect,
    "udp_send": udp_send,
    "udp_sendto": udp_sendto,
    "udp_recv": udp_recv,
    "udp_join": udp_join,
    "udp_leave": udp_leave,
    "udp_join_source": udp_join_source,
    "udp_leave_source": udp_leave_source,
    "listen": listen,
    "unlisten": unlisten,
    "accept": accept,
    "connect": connect,
    "write": write,
    "read": read,
    "skip": skip,
    "shutdown": shutdown,
    "close": close,
    "error": error,
    "atmark": atmark,
    "unread": unread,
    "poll": poll,
    "set": set_option,
    "get": get_option,
}

print("ready", flush=True)
for line in sys.stdin:
    number, name, *rest = line.split()
    connection = connections.setdefault(number, Connection())
    try:
        result = CALLS[name](rest)
    except OSError as e:
        result = errno.errorcode.get(e.errno, str(e.errno))
    print(result, flush=True)
