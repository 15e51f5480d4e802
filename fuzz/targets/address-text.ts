/** Addresses as text: what is accepted must come back the same from its canonical form. */
import { IpAddress } from "../../src/base/ip-address.js";
import { ethernet } from "../../src/wire/index.js";
import { mustEqual, type Target } from "../target.js";

export const target: Target = {
  name: "address-text",
  summary: "IPv4, IPv6 and Ethernet addresses as text",
  maxBytes: 64,
  run(input) {
    const text = Buffer.from(input).toString("latin1");
    const address = IpAddress.tryParse(text);
    if (address !== null) {
      const canonical = address.toString();
      mustEqual("canonical text changes", canonical, IpAddress.parse(canonical).toString());
      return `ip ${canonical.replaceAll(/[0-9a-f]+/g, "x")}`;
    }
    try {
      const mac = ethernet.formatAddress(ethernet.parseAddress(text));
      mustEqual("canonical text changes", mac, text.toLowerCase().replaceAll("-", ":"));
      return "mac";
    } catch (error) {
      if (error instanceof TypeError && error.message.startsWith("expected an")) return "refused";
      throw error;
    }
  },
};
