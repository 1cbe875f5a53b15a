/** Of seeded requests, one in this many has a payload that opens. */
export const READABLE_EVERY = 100;
