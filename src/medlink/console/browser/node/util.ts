/** What the pure modules take of node:util, for a browser. The build puts it in that module's place. */
const { TextEncoder } = globalThis;

export { TextEncoder };
