/** How a call to the operator is signed; docs/operator-api.md, "Every call". */
import { toHex, utf8 } from "../../platform/encoding.ts";
import { hmacSha256 } from "../../platform/signature.ts";

/** Lower-case hex of HMAC-SHA256 over `<timestamp>.<body>`: the value of X-Signature. A call without a body signs the empty one. */
export const signOperatorCall = (timestampSeconds: number, body: string, secret: string): string =>
  toHex(hmacSha256(utf8(secret), utf8(`${timestampSeconds}.${body}`)));
