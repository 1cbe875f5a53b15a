/** Pausing and resuming deliveries: the relay as a whole, or one destination. Again changes nothing. */
import { z } from "@hono/zod-openapi";
import { none, operatorOperation } from "../operation.edge.ts";
import { operateCore } from "./core-answer.edge.ts";

const answers = { 200: { description: "As iTrans answers" } };

const destinationParams = z.object({ destinationId: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/) });

const wholeRelay = (verb: "pause" | "resume", summary: string) =>
  operatorOperation(
    { method: "post", path: `/api/operations/relay/${verb}`, summary, params: none, body: none, answers },
    (input) => operateCore({ ...input, action: `relay.${verb}`, subject: "relay", path: `/relay/${verb}` }),
  );

const oneDestination = (verb: "pause" | "resume", summary: string) =>
  operatorOperation(
    {
      method: "post",
      path: `/api/operations/relay/destinations/{destinationId}/${verb}`,
      summary,
      params: destinationParams,
      body: none,
      answers,
    },
    (input) => {
      const { destinationId } = input.params;
      const path = `/relay/destinations/${destinationId}/${verb}`;
      return operateCore({ ...input, body: undefined, action: `relay.${verb}`, subject: destinationId, path });
    },
  );

export const pauseRelay = wholeRelay("pause", "Pause every delivery, of every tenant");
export const resumeRelay = wholeRelay("resume", "Resume the relay; destinations that are paused stay so");
export const pauseDestination = oneDestination("pause", "Pause one destination");
export const resumeDestination = oneDestination("resume", "Resume one destination");
