import { z } from "@hono/zod-openapi";
import { renderSVG } from "uqr";
import { accountOperation, none, ok, refuse } from "../operation.edge.ts";
import { beginSecondFactor } from "./second-factor.store.ts";
import { accountAudit } from "./sign-in.edge.ts";
import { newTotpSecret, otpauthUrl } from "./totp.ts";

export const setupTotp = accountOperation(
  {
    method: "post",
    path: "/api/auth/totp/setup",
    summary: "Begin to set up a second factor; it is in force once its first code is shown",
    params: none,
    body: none,
    answers: {
      200: {
        description: "The secret, and as a QR code for an authenticator",
        schema: z.object({ secret: z.string(), otpauthUrl: z.string(), qrSvg: z.string() }),
      },
    },
  },
  async ({ hub, signedIn, correlationId }) => {
    const { user } = signedIn;
    const secret = newTotpSecret(hub.random);
    const now = hub.now();
    if (!(await beginSecondFactor(hub.db, hub.fields, user.userId, secret, now))) {
      return refuse("conflict", "A second factor is in force. Take it away first.");
    }
    await accountAudit(hub, user, { action: "account.secondFactor", detail: "setup", correlationId }, now).run();
    const url = otpauthUrl(secret, user.email);
    return ok(200, { secret, otpauthUrl: url, qrSvg: renderSVG(url, { border: 4 }) }, { "cache-control": "no-store" });
  },
);
