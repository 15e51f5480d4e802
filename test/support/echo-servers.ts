/** Python programs for tests of servers that share a port: echo servers that say who they are, and clients that check. */

/**
 * `FAMILY ADDRESS PORT NAME`: greets each connection with its name of three letters and echoes. Serves with others
 * (SO_REUSEPORT); or, where a manager has passed a listener on, that one.
 */
export const ECHO_SERVER = `
import os, socket, sys, threading
family, address, port, name = sys.argv[1:]
if "LISTEN_FDS" in os.environ: listener = socket.socket(fileno=3)
else:
    listener = socket.socket(socket.AF_INET6 if family == "6" else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((address, int(port)))
    listener.listen()
print("listens", flush=True)
def serve(connection):
    connection.sendall(name.encode())
    while data := connection.recv(65536): connection.sendall(data)
    connection.close()
while True: threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
`;

/**
 * `ADDRESS PORT`: connects and says who has greeted it; for each line that it reads, and at once, sends 400 KB and says
 * "echoed" when all have come back. At the end of its input it closes, waits for the server's end, and says "over".
 */
export const ECHO_CLIENT = `
import os, socket, sys, threading
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
def read(n):
    got = b""
    while len(got) < n:
        data = connection.recv(n - len(got))
        assert data, "ended after %d of %d" % (len(got), n)
        got += data
    return got
print("greeted by", read(3).decode(), flush=True)
def swap():
    data = os.urandom(400_000)
    sender = threading.Thread(target=connection.sendall, args=(data,))
    sender.start()
    assert read(len(data)) == data
    sender.join()
    print("echoed", flush=True)
swap()
for line in sys.stdin: swap()
connection.shutdown(socket.SHUT_WR)
assert connection.recv(1) == b""
print("over", flush=True)
`;
