/** What people outside the team are told, filled in. */

export interface RollbackFacts {
  readonly environment: string;
  readonly at: string;
  readonly because: string;
  readonly from: string;
  readonly to: string;
  readonly complete: boolean;
  readonly ticket: string | undefined;
  readonly backup: string | undefined;
  readonly contact: string;
  readonly timeframe: string;
}

const split = (iso: string): readonly [date: string, time: string] => [iso.slice(0, 10), `${iso.slice(11, 19)} UTC`];

export function rollbackMessage(facts: RollbackFacts): string {
  const [date, time] = split(facts.at);
  return `Subject: [ACTION REQUIRED] iTrans + MedLink Integration -- Rollback Initiated

Team,

We have initiated a rollback of the iTrans + MedLink claims integration deployment to ${facts.environment} at ${time} on ${date}.

Reason: ${facts.because}.

Impact: Claims submitted between ${facts.from} and ${facts.to} may require reprocessing. Auto-submit is off: queued claims are kept
and are sent after the next go-live. No claim data has been lost.${facts.complete ? "" : "\nThe rollback is not complete yet: the on-call team is at it."}

Next steps:
- Root cause analysis begins immediately${facts.ticket === undefined ? "" : ` (${facts.ticket})`}
- A revised go-live timeline will be communicated within ${facts.timeframe}
- Affected claims will be reconciled per the correction policy: nothing recorded is deleted, on-chain anchors stay
${facts.backup === undefined ? "" : `- The state before the cutover is kept as snapshot ${facts.backup}\n`}
Point of contact: ${facts.contact}
`;
}

export interface GoLiveFacts {
  readonly environment: string;
  readonly window: string;
  readonly commit: string;
  readonly version: string;
  readonly by: string;
  readonly contact: string;
}

export const goLiveMessage = ({ environment, window, commit, version, by, contact }: GoLiveFacts): string =>
  `Subject: iTrans + MedLink Integration -- Go-live ${window}

Team,

iTrans + MedLink ${version} (${commit.slice(0, 12)}) goes live in ${environment}: ${window}. Go was given by ${by}.

Expected downtime: none. Requests move to the new version in steps of 5, 25, 50 and 100 %; new claims are submitted by themselves
once a synthetic claim has passed through its whole life. The team watches for four hours and stands by for 72.

Point of contact: ${contact}
`;

export const statusMessage = (environment: string, at: string, lines: readonly string[], contact: string): string => {
  const [date, time] = split(at);
  return `Subject: iTrans + MedLink Integration -- Status of ${date} ${time}

Team,

The state of ${environment}:

${lines.map((line) => `- ${line}`).join("\n")}

Point of contact: ${contact}
`;
};
