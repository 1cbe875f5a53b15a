import { none, operation } from "../operation.edge.ts";
import { fileClaim } from "./file-claim.edge.ts";
import { claimFields, claimSchema, submissionSchema } from "./show-claim.ts";

export const createClaim = operation(
  {
    method: "post",
    path: "/api/claims",
    summary: "File a claim or pre-authorization; with auto-submit on it is queued for iTrans at once",
    params: none,
    body: claimFields,
    answers: {
      201: { description: "The claim", schema: claimSchema.extend({ itransSubmission: submissionSchema.optional() }) },
    },
  },
  async (input) => fileClaim(input, input.body),
);
