/** What the pure modules take of node:buffer, for a browser: bytes to base64. The build puts it in that module's place. */
export const Buffer = {
  from: (buffer: ArrayBufferLike, offset: number, length: number) => ({
    toString(_encoding: "base64"): string {
      const bytes = new Uint8Array(buffer, offset, length);
      let binary = "";
      const chunkLength = 0x8000; // fromCharCode takes its bytes as arguments, and those are limited
      for (let at = 0; at < bytes.length; at += chunkLength) {
        binary += String.fromCharCode(...bytes.subarray(at, at + chunkLength));
      }
      return btoa(binary);
    },
  }),
};
