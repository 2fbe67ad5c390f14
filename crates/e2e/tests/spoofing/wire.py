"""Frames by hand. `wire.py listen` prints the mark of every frame that comes in; `wire.py send ME YOU GATEWAY` sends
frames to YOU, each with its name as a mark at its end, and last the one that is called `end`; `wire.py raw BYTES` sends
one frame."""

import ipaddress
import json
import os
import re
import socket
import struct
import sys

IP, ARP, IP6, VLAN, QINQ = 0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8
BROADCAST, NONE = "ff:ff:ff:ff:ff:ff", "00:00:00:00:00:00"
UDP, ICMP6 = 17, 58

# What the frame that is being made is called.
mark = b""


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def address(text):
    return ipaddress.ip_address(text).packed


def ether(source, target, kind, payload):
    return mac(target) + mac(source) + struct.pack("!H", kind) + payload + (mark if mark not in payload else b"")


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip4(source, target, sport=1000, dport=9):
    payload = struct.pack("!HHHH", sport, dport, 8 + len(mark), 0) + mark
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, UDP, 0) + address(source) + address(target)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ip6(source, target, kind, payload, extension=b""):
    pseudo = address(source) + address(target) + struct.pack("!II", len(payload), kind)
    at = {UDP: 6, ICMP6: 2}[kind]
    payload = payload[:at] + struct.pack("!H", checksum(pseudo + payload)) + payload[at + 2 :]
    first = 0 if extension else kind
    head = struct.pack("!IHBB", 6 << 28, len(extension + payload), first, 255)
    return head + address(source) + address(target) + extension + payload


def udp6(source, target, sport=1000, dport=9):
    return ip6(source, target, UDP, struct.pack("!HHHH", sport, dport, 8 + len(mark), 0) + mark)


def icmp6(source, target, kind, body, extension=b""):
    return ip6(source, target, ICMP6, struct.pack("!BBH", kind, 0, 0) + body + mark, extension)


def solicit(source, wanted, target="ff02::1"):
    return icmp6(source, target, 135, bytes(4) + address(wanted))


def advertise(source, owned, owner, target="ff02::1"):
    return icmp6(source, target, 136, bytes([0x20, 0, 0, 0]) + address(owned) + b"\2\1" + mac(owner))


def arp(operation, source_mac, source, target_mac, target):
    head = struct.pack("!HHBBH", 1, IP, 6, 4, operation)
    return head + mac(source_mac) + address(source) + mac(target_mac) + address(target)


ADVERTISEMENT = struct.pack("!BBHII", 64, 0, 1800, 0, 0)


def honest(me, you):
    """What everybody says."""
    mine = lambda kind, payload, target=you["mac"]: ether(me["mac"], target, kind, payload)
    report = struct.pack("!HHBBH", 0, 1, 4, 0, 0) + address("ff02::1:2")
    return {
        "ipv4": mine(IP, ip4(me["v4"], you["v4"])),
        "ipv4-broadcast": mine(IP, ip4(me["v4"], "255.255.255.255"), BROADCAST),
        "ipv4-multicast": mine(IP, ip4(me["v4"], "224.0.0.251"), "01:00:5e:00:00:fb"),
        "ipv6": mine(IP6, udp6(me["v6"], you["v6"])),
        "ipv6-link-local": mine(IP6, udp6(me["local"], you["local"])),
        "ipv6-multicast": mine(IP6, udp6(me["local"], "ff02::fb"), "33:33:00:00:00:fb"),
        "arp-request": mine(ARP, arp(1, me["mac"], me["v4"], NONE, you["v4"]), BROADCAST),
        "arp-reply": mine(ARP, arp(2, me["mac"], me["v4"], you["mac"], you["v4"])),
        "arp-gratuitous": mine(ARP, arp(1, me["mac"], me["v4"], NONE, me["v4"]), BROADCAST),
        "arp-probe": mine(ARP, arp(1, me["mac"], "0.0.0.0", NONE, me["v4"]), BROADCAST),
        "nd-solicit": mine(IP6, solicit(me["v6"], you["v6"])),
        "nd-advert": mine(IP6, advertise(me["v6"], me["v6"], me["mac"])),
        "nd-advert-link-local": mine(IP6, advertise(me["local"], me["local"], me["mac"])),
        "nd-is-mine-free": mine(IP6, solicit("::", me["v6"])),
        "nd-router-solicit": mine(IP6, icmp6(me["local"], "ff02::2", 133, bytes(4))),
        "mld-without-address": mine(IP6, icmp6("::", "ff02::16", 143, report), "33:33:00:00:00:16"),
        "mld": mine(IP6, icmp6(me["local"], "ff02::16", 143, report), "33:33:00:00:00:16"),
    }


def forged(me, you, gateway):
    """What nobody may say but somebody else."""
    mine = lambda kind, payload, target=you["mac"]: ether(me["mac"], target, kind, payload)
    stolen = lambda kind, payload: ether(gateway["mac"], you["mac"], kind, payload)
    tag = lambda payload: struct.pack("!HH", 7, IP) + payload
    hop_by_hop = bytes([ICMP6, 0, 1, 4, 0, 0, 0, 0])
    return {
        "ipv4-of-gateway": mine(IP, ip4(gateway["v4"], you["v4"])),
        "ipv4-of-nobody": mine(IP, ip4("203.0.113.5", you["v4"])),
        "ipv4-none": mine(IP, ip4("0.0.0.0", "255.255.255.255", 68, 67), BROADCAST),
        "mac-of-gateway-ipv4": stolen(IP, ip4(me["v4"], you["v4"])),
        "mac-and-ipv4-of-gateway": stolen(IP, ip4(gateway["v4"], you["v4"])),
        "mac-of-gateway-ipv6": stolen(IP6, udp6(me["v6"], you["v6"])),
        "mac-of-gateway-arp": stolen(ARP, arp(1, me["mac"], me["v4"], NONE, you["v4"])),
        "arp-i-am-the-gateway": mine(ARP, arp(2, me["mac"], gateway["v4"], you["mac"], you["v4"])),
        "arp-request-as-gateway": mine(ARP, arp(1, me["mac"], gateway["v4"], NONE, you["v4"]), BROADCAST),
        "arp-mac-of-gateway": mine(ARP, arp(2, gateway["mac"], me["v4"], you["mac"], you["v4"])),
        "arp-probe-mac-of-gateway": mine(ARP, arp(1, gateway["mac"], "0.0.0.0", NONE, me["v4"])),
        "ipv6-of-gateway": mine(IP6, udp6(gateway["v6"], you["v6"])),
        "ipv6-link-local-of-gateway": mine(IP6, udp6(gateway["local"], you["v6"])),
        "ipv6-none": mine(IP6, udp6("::", you["v6"])),
        "nd-i-am-the-gateway": mine(IP6, advertise(me["v6"], gateway["v6"], me["mac"])),
        "nd-i-am-the-gateway-extended": mine(
            IP6, icmp6(me["v6"], "ff02::1", 136, bytes(4) + address(gateway["v6"]), hop_by_hop)
        ),
        "nd-advert-as-gateway": mine(IP6, advertise(gateway["v6"], gateway["v6"], me["mac"])),
        "nd-is-the-gateways-free": mine(IP6, solicit("::", gateway["v6"])),
        "nd-is-mine-free-mac-of-gateway": stolen(IP6, solicit("::", me["v6"])),
        "router-advert": mine(IP6, icmp6(me["local"], "ff02::1", 134, ADVERTISEMENT), "33:33:00:00:00:01"),
        "router-advert-extended": mine(IP6, icmp6(me["local"], "ff02::1", 134, ADVERTISEMENT, hop_by_hop)),
        "nd-redirect": mine(IP6, icmp6(me["local"], you["v6"], 137, bytes(36))),
        "dhcp-offer": mine(IP, ip4(me["v4"], you["v4"], 67, 68)),
        "dhcpv6-advertise": mine(IP6, udp6(me["local"], you["local"], 547, 546)),
        "vlan": mine(VLAN, tag(ip4(me["v4"], you["v4"]))),
        "vlan-none": mine(VLAN, struct.pack("!HH", 0, IP) + ip4(me["v4"], you["v4"])),
        "vlan-of-provider": mine(QINQ, tag(ip4(me["v4"], you["v4"]))),
        "vlan-arp": mine(VLAN, struct.pack("!HH", 7, ARP) + arp(2, me["mac"], gateway["v4"], you["mac"], you["v4"])),
        "another-protocol": mine(0x88B5, bytes(46)),
        "rarp": mine(0x8035, arp(3, me["mac"], me["v4"], me["mac"], me["v4"])),
        "llc": mine(46, b"\x42\x42\x03" + bytes(43)),
    }


def send(wire, me, you, gateway):
    global mark
    # On one processor, so that what is sent last comes in last.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    makers = {"honest": lambda: honest(me, you), "forged": lambda: forged(me, you, gateway)}
    for kind, make in makers.items():
        for name in make():
            mark = f"<<{kind} {name}>>".encode()
            wire.send(make()[name])
            print(kind, name)
    mark = b"<<end>>"
    wire.send(ether(me["mac"], you["mac"], IP, ip4(me["v4"], you["v4"])))


def main():
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3) if sys.argv[1] == "listen" else 0)
    wire.bind(("eth0", 3 if sys.argv[1] == "listen" else 0))
    if sys.argv[1] == "listen":
        print("listening", flush=True)
        while True:
            found = re.search(rb"<<([a-z0-9 -]+)>>", wire.recv(2048))
            if found:
                print("got", found[1].decode(), flush=True)
    elif sys.argv[1] == "raw":
        wire.send(bytes.fromhex(sys.argv[2].replace(":", "")))
    else:
        send(wire, *map(json.loads, sys.argv[2:5]))


main()
