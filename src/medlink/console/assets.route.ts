/** Scripts and styles, named by what they hold, so that a browser keeps them for ever. */

import { problemResponse } from "../../platform/problem.ts";
import type { Operation } from "../operation.edge.ts";
import { files } from "./assets.generated.js";

export const assets: Operation = {
  mount: (app) =>
    app.get("/assets/:file", (context) => {
      context.set("route", "/assets/{file}");
      const asset = Object.hasOwn(files, context.req.path) ? files[context.req.path] : undefined;
      if (asset === undefined) {
        return problemResponse({ code: "not_found", detail: "There is no such file." }, context.get("correlationId"));
      }
      return new Response(asset.body, {
        headers: {
          "content-type": asset.type,
          "cache-control": "public, max-age=31536000, immutable",
          "cross-origin-resource-policy": "same-origin",
        },
      });
    }),
};
