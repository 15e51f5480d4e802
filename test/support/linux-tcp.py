"""Linux's side of the TCP interop tests: one behaviour a subcommand. Prints what it saw."""
import fcntl
import hashlib
import select
import socket
import struct
import sys
import time

mode, host, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in host else socket.AF_INET
BLOCK = 1 << 18
SIOCATMARK = 0x8905


def server(*options):
    listener = socket.socket(family, socket.SOCK_STREAM)
    for option in (socket.SO_REUSEADDR, *options):  # a connection inherits them when it comes
        listener.setsockopt(socket.SOL_SOCKET, option, 1)
    listener.bind((host, port))
    listener.listen(512)
    print("ready", flush=True)
    return listener


def client():
    return socket.create_connection((host, port), timeout=60)


def content(total):
    """The same bytes as test/support/content.ts makes."""
    block = bytearray((i * 31 + (i >> 8)) & 0xFF for i in range(1 << 20))
    for number in range((total + len(block) - 1) // len(block)):
        block[0:8] = struct.pack(">Q", number)
        yield block[: min(len(block), total - number * len(block))]


def receive_all(sock):
    digest, total = hashlib.sha256(), 0
    while True:
        data = sock.recv(BLOCK)
        if not data:
            return digest.hexdigest(), total
        digest.update(data)
        total += len(data)


def send_all(sock, total):
    digest = hashlib.sha256()
    for block in content(total):
        digest.update(block)
        sock.sendall(block)
    return digest.hexdigest()


if mode == "sink":
    listener = server()
    conn, _ = listener.accept()
    print(*receive_all(conn), flush=True)
elif mode == "source":
    conn = client()
    conn.settimeout(None)
    start = time.monotonic()
    digest = send_all(conn, int(sys.argv[4]))
    conn.shutdown(socket.SHUT_WR)
    conn.recv(1)
    print(digest, time.monotonic() - start, flush=True)
elif mode == "echo-many":
    # One process serves every connection; it ends when all that came have gone.
    listener = server()
    expected = int(sys.argv[4])
    conns, served = {}, 0
    while served < expected:
        ready, _, _ = select.select([listener, *conns.values()], [], [], 30)
        for one in ready:
            if one is listener:
                conn, _ = listener.accept()
                conns[conn.fileno()] = conn
                continue
            data = one.recv(65536)
            if data:
                one.sendall(data)
            else:
                del conns[one.fileno()]
                one.close()
                served += 1
    print("served", served, flush=True)
elif mode == "connect-many":
    conns = [client() for _ in range(int(sys.argv[4]))]
    for i, conn in enumerate(conns):
        conn.sendall(b"connection %d\n" % i)
    good = sum(conn.recv(100) == b"connection %d\n" % i for i, conn in enumerate(conns))
    for conn in conns:
        conn.close()
    print("good", good, flush=True)
elif mode == "half-close":
    conn = client()
    conn.sendall(b"question")
    conn.shutdown(socket.SHUT_WR)
    print(receive_all(conn)[1], flush=True)
elif mode == "reset":
    conn = client()
    conn.sendall(b"x")
    conn.recv(1)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    conn.close()
    print("reset", flush=True)
elif mode == "expect-reset":
    conn = client()
    try:
        conn.sendall(b"x")
        while conn.recv(100):
            pass
        print("end", flush=True)
    except ConnectionResetError:
        print("ECONNRESET", flush=True)
elif mode == "slow-reader":
    # Lets the window close, and opens it after some probes.
    listener = server()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
    conn, _ = listener.accept()
    time.sleep(2.5)
    print(*receive_all(conn), flush=True)
elif mode == "urgent-send":
    conn = client()
    conn.sendall(b"abc")
    time.sleep(0.1)
    conn.send(b"!", socket.MSG_OOB)
    time.sleep(0.1)
    conn.sendall(b"def")
    print("sent", flush=True)
    conn.recv(1)
elif mode == "urgent-receive":
    listener = server()
    conn, _ = listener.accept()
    _, _, urgent = select.select([], [], [conn], 60)
    byte = conn.recv(1, socket.MSG_OOB) if urgent else b"none"
    rest = b""
    while True:
        data = conn.recv(100)
        if not data:
            break
        rest += data
    print(byte.decode(), rest.decode(), flush=True)
elif mode == "urgent-inline":
    listener = server(socket.SO_OOBINLINE)
    conn, _ = listener.accept()
    select.select([], [], [conn], 60)
    heard = b""
    while True:
        if fcntl.ioctl(conn, SIOCATMARK, b"\0" * 4) != b"\0" * 4:
            heard += b"|"
        data = conn.recv(100)
        if not data:
            break
        heard += data
    print(heard.decode(), flush=True)
elif mode == "answer-after-end":
    listener = server()
    conn, _ = listener.accept()
    conn.sendall(b"%d bytes heard" % receive_all(conn)[1])
    conn.close()
elif mode == "close-on-command":
    conn = client()
    print("ready", flush=True)
    sys.stdin.readline()
    conn.shutdown(socket.SHUT_WR)
    print("closed", flush=True)
    print("end" if conn.recv(1) == b"" else "data", flush=True)
