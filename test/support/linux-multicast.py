"""Linux's side of the multicast tests: sends to a group, or joins one and prints what it hears."""
import socket
import struct
import sys

mode, group, port, interface = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
is6 = ":" in group
index = socket.if_nametoindex(interface)
MCAST_JOIN_SOURCE_GROUP = 46


def storage(address):
    """The address as a struct sockaddr_storage."""
    if is6:
        fields = struct.pack("=HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, address)
    else:
        fields = struct.pack("=HH", socket.AF_INET, 0) + socket.inet_aton(address)
    return fields.ljust(128, b"\0")


def source_membership(group, source):
    level = socket.IPPROTO_IPV6 if is6 else socket.IPPROTO_IP
    request = struct.pack("=I4x", index) + storage(group) + storage(source)
    return level, MCAST_JOIN_SOURCE_GROUP, request


sock = socket.socket(socket.AF_INET6 if is6 else socket.AF_INET, socket.SOCK_DGRAM)
if mode == "send":
    if is6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
    else:
        request = struct.pack("4s4si", b"\0" * 4, b"\0" * 4, index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
    sock.sendto(sys.argv[5].encode(), (group, port))
else:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("", port))
    if mode == "receive-from":
        sock.setsockopt(*source_membership(group, sys.argv[5]))
        print("ready", flush=True)
        print(sock.recv(2000).decode(), flush=True)
        sys.exit(0)
    packed = socket.inet_pton(sock.family, group)
    if is6:
        request = packed + struct.pack("I", index)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    else:
        request = struct.pack("4s4si", packed, b"\0" * 4, index)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
    print("ready", flush=True)
    print(sock.recv(2000).decode(), flush=True)
