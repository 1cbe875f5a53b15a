/** A webhook receiver in a process of its own, which does nothing: `node bench/receiver.ts` prints its port. GET /: posts so far. */
import { createServer } from "node:http";

let posts = 0;
let lastAt = 0;

const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.end(JSON.stringify({ posts, lastAt }));
    return;
  }
  request.resume();
  request.on("end", () => {
    posts += 1;
    lastAt = Date.now();
    response.end("{}");
  });
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address !== null && typeof address === "object") console.log(address.port);
});
process.once("disconnect", () => process.exit());
