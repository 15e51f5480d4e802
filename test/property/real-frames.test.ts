/** Every real frame is walked to its innermost format, by the walker that the fuzzer uses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { describeFrame } from "../../fuzz/describe-frame.js";
import { FRAME_NAMES, type FrameName, frame } from "../vectors/frames.js";

/** What the description of a frame must contain; `true` before a checksum's place says it is right. */
const EXPECTED: Readonly<Record<FrameName, string>> = {
  arpRequest: " arp 1 ",
  arpReply: " arp 2 ",
  vlanArp: " vlan 33024 0 false 123 arp 1 ",
  doubleTaggedArp: " vlan 34984 0 false 200 vlan 33024 0 false 2001 arp 1 ",
  trunkProtocol: "eth ETH_LLC",
  echoRequest: " icmpv4 8 0 1076101120 true",
  portUnreachable: " icmpv4 3 3 0 true quotes -2087255662 -2087247851 17 20",
  timeExceeded: " icmpv4 11 0 0 true quotes 167772162 167772161 17 20",
  udp: " udp 1985 1985 20 1 false true",
  udpNoChecksum: " udp 12345 3799 38 175 true false",
  udp6: " udp 6696 6696 13 0 false true",
  syn: " true NONE mss 1460 ws 9 sackok true ts true 667578586 0 ",
  synAccEcn: " 194 65535 0 40 false NONE mss 1460 ws 6 ", // captured before the device's checksum
  synMultipath: " mptcp 40",
  sack: " sack -212728326,-212728325 ",
  synMd5: " md5 24 ",
  synAckExperimental: " true NONE mss 1500 ",
  finTimestamps: " 17 57 0 32 true NONE ",
  tcp6: " tcp 443 62510 1945299485 721860137 18 24400 0 32 true NONE ",
  atomicFragment: " at 48 40 -1 tcp 59694 80 1770092806 4266013196 16 8192 0 20 true NONE ",
  destinationOptions: " at 48 40 -1 tcp 36951 80 3810442575 3185309717 16 8192 0 20 true NONE ",
  routingHeader: " extensions IP6_ROUTING_REFUSED 0 42",
  authenticationHeader: " at 64 40 -1 protocol 89",
  echoRequest6: " icmpv6 128 0 1981808640 true",
  packetTooBig: " icmpv6 2 0 1280 true quotes 17",
  routerSolicitation: " icmpv6 133 0 0 true nd 0 option 1 08:00:27:46:e8:84",
  routerAdvertisement: " true nd 80 80 64 500 0 0 option 1 prefix 64 128 3600 1800 option 38 ",
  neighborSolicitation: " icmpv6 135 0 0 true nd 0",
  neighborAdvertisement: " icmpv6 136 0 1610612736 true nd 96 option 2 00:03:47:eb:3f:af",
  redirectTruncated: " true nd ND_TRUNCATED",
  igmpV1Report: " options - - - 0 148,4,0,0 igmp 18 true -536870660",
  igmpV2Report: " igmp 22 true -519435766",
  igmpLeave: " igmp 23 true -536870661",
  igmpV3Report: " igmp 34 true 4 -268435462 []",
  igmpV3Query: " igmp 17 true v3 0 10000 ms 2 false 125 []",
  mldV1Report: " at 56 40 0 icmpv6 131 0 0 true mld v1 255,2,0,0,0,0,0,0,0,0,0,1,255,154,59,124",
  mldV2Report: " at 48 40 0 icmpv6 143 0 1 true mld v2 4 0 ",
  mldV2Query: " icmpv6 130 0 655360000 true mld query v2 true 10000 ms 2 false 60 0 ",
  fragment: " fragment of 17",
};

for (const name of FRAME_NAMES) {
  test(`the real frame ${name} is understood`, () => {
    const b = frame(name);
    const text = describeFrame(b, 0, b.length);
    assert.ok(text.includes(EXPECTED[name]), `expected ${EXPECTED[name]} in ${text}`);
  });
}
