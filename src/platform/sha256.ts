/**
 * SHA-256 (FIPS 180-4) for many short messages one after the other: one set of buffers, no object for each. The runtime's own costs
 * more for the call than for the work where a message has a few blocks. Checked against another implementation by a test.
 */

const ROUND_CONSTANTS = new Int32Array(64);
const INITIAL = new Int32Array(8);

/** The first 32 bits of the fractional parts of square and cube roots of the first primes (sections 4.2.2 and 5.3.3). */
function fillConstants(): void {
  const fraction = (value: number): number => ((value - Math.floor(value)) * 2 ** 32) | 0;
  let found = 0;
  for (let candidate = 2; found < 64; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) prime = false;
    if (!prime) continue;
    if (found < 8) INITIAL[found] = fraction(Math.sqrt(candidate));
    ROUND_CONSTANTS[found] = fraction(Math.cbrt(candidate));
    found += 1;
  }
}
fillConstants();

const schedule = new Int32Array(64);
const state = new Int32Array(8);
const BLOCK = 64;
const tail = new Uint8Array(2 * BLOCK);

const at = (words: Int32Array, i: number): number => words[i] ?? 0;

function compress(bytes: Uint8Array, offset: number): void {
  const w = schedule;
  for (let i = 0, p = offset; i < 16; i++, p += 4) {
    w[i] = ((bytes[p] ?? 0) << 24) | ((bytes[p + 1] ?? 0) << 16) | ((bytes[p + 2] ?? 0) << 8) | (bytes[p + 3] ?? 0);
  }
  for (let i = 16; i < 64; i++) {
    const x = at(w, i - 15);
    const y = at(w, i - 2);
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    w[i] = (at(w, i - 16) + s0 + at(w, i - 7) + s1) | 0;
  }
  let a = at(state, 0);
  let b = at(state, 1);
  let c = at(state, 2);
  let d = at(state, 3);
  let e = at(state, 4);
  let f = at(state, 5);
  let g = at(state, 6);
  let h = at(state, 7);
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + at(ROUND_CONSTANTS, i) + at(w, i)) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] = (at(state, 0) + a) | 0;
  state[1] = (at(state, 1) + b) | 0;
  state[2] = (at(state, 2) + c) | 0;
  state[3] = (at(state, 3) + d) | 0;
  state[4] = (at(state, 4) + e) | 0;
  state[5] = (at(state, 5) + f) | 0;
  state[6] = (at(state, 6) + g) | 0;
  state[7] = (at(state, 7) + h) | 0;
}

/** Of `length` bytes from `offset`. Messages are shorter than 2^29 bytes. */
export function sha256Of(bytes: Uint8Array, offset = 0, length = bytes.length - offset): Uint8Array {
  state.set(INITIAL);
  const whole = length - (length % BLOCK);
  for (let done = 0; done < whole; done += BLOCK) compress(bytes, offset + done);
  const rest = length - whole;
  for (let i = 0; i < rest; i++) tail[i] = bytes[offset + whole + i] ?? 0;
  tail[rest] = 0x80;
  const padded = rest + 9 > BLOCK ? 2 * BLOCK : BLOCK;
  tail.fill(0, rest + 1, padded);
  const bits = length * 8;
  const high = Math.floor(bits / 2 ** 32);
  for (let i = 0; i < 4; i++) {
    tail[padded - 8 + i] = high >>> (24 - 8 * i);
    tail[padded - 4 + i] = bits >>> (24 - 8 * i);
  }
  for (let done = 0; done < padded; done += BLOCK) compress(tail, done);
  const digest = new Uint8Array(32);
  for (let i = 0; i < 8; i++) {
    const word = at(state, i);
    digest[4 * i] = word >>> 24;
    digest[4 * i + 1] = word >>> 16;
    digest[4 * i + 2] = word >>> 8;
    digest[4 * i + 3] = word;
  }
  return digest;
}
