"""Linux's side of the multicast tests: sends to a group, or joins one and prints what it hears."""
import socket
import struct
import sys

mode, group, port, interface = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
is6 = ":" in group
index = socket.if_nametoindex(interface)
sock = socket.socket(socket.AF_INET6 if is6 else socket.AF_INET, socket.SOCK_DGRAM)
if mode == "send":
    if is6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        request = struct.pack("4s4si", b"\0" * 4, b"\0" * 4, index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
    sock.sendto(sys.argv[5].encode(), (group, port))
else:
    sock.bind(("", port))
    packed = socket.inet_pton(sock.family, group)
    if is6:
        request = packed + struct.pack("I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    else:
        request = struct.pack("4s4si", packed, b"\0" * 4, index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    print("ready", flush=True)
    print(sock.recv(2000).decode(), flush=True)
