/** The other end of each connector, for the sandbox: reads what the connector wrote, writes what the network would. */

import { cdanetFarSide } from "./cdanet/far-side.ts";
import type { ConnectorName, WireAnswer, WireMessage } from "./connector.ts";
import { eclaimsFarSide, portalFarSide } from "./json-far-side.ts";
import type { SandboxReply, SandboxRequest } from "./sandbox.ts";

export interface FarSide {
  readonly read: (message: WireMessage) => SandboxRequest;
  readonly write: (message: WireMessage, reply: SandboxReply, now: number) => WireAnswer;
}

export function farSideOf(connector: ConnectorName): FarSide {
  switch (connector) {
    case "cdanet":
      return cdanetFarSide;
    case "eclaims":
      return eclaimsFarSide;
    case "portal":
      return portalFarSide;
  }
}
