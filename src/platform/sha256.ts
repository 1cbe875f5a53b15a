/**
 * SHA-256 (FIPS 180-4) for many short messages one after the other: one set of buffers, no object for each. The runtime's own costs
 * more for the call than for the work where a message has a few blocks. Checked against another implementation by a test.
 */

const ROUNDS = 64;
const WORD = 4;

/** Words are read through DataViews: an element of a typed array may be undefined, which is looked for at each of them. */
const wordsOf = (count: number): DataView => new DataView(new ArrayBuffer(count * WORD));

/** As the machine has them; those of a message are big-endian. */
const LITTLE_ENDIAN = true;

const ROUND_CONSTANTS = wordsOf(ROUNDS);
const INITIAL = new Int32Array(8);

/** The first 32 bits of the fractional parts of square and cube roots of the first primes (sections 4.2.2 and 5.3.3). */
function fillConstants(): void {
  const fraction = (value: number): number => ((value - Math.floor(value)) * 2 ** 32) | 0;
  let found = 0;
  for (let candidate = 2; found < ROUNDS; candidate++) {
    let prime = true;
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) if (candidate % divisor === 0) prime = false;
    if (!prime) continue;
    if (found < 8) INITIAL[found] = fraction(Math.sqrt(candidate));
    ROUND_CONSTANTS.setInt32(found * WORD, fraction(Math.cbrt(candidate)), LITTLE_ENDIAN);
    found += 1;
  }
}
fillConstants();

const BLOCK = 64;
const schedule = wordsOf(ROUNDS);
const state = new Int32Array(8);
const tail = new Uint8Array(2 * BLOCK);
const tailView = new DataView(tail.buffer);

const at = (words: Int32Array, i: number): number => words[i] ?? 0;

function compress(block: DataView, offset: number): void {
  const w = schedule;
  const k = ROUND_CONSTANTS;
  for (let i = 0; i < BLOCK; i += WORD) w.setInt32(i, block.getInt32(offset + i), LITTLE_ENDIAN);
  for (let i = BLOCK; i < ROUNDS * WORD; i += WORD) {
    const x = w.getInt32(i - 15 * WORD, LITTLE_ENDIAN);
    const y = w.getInt32(i - 2 * WORD, LITTLE_ENDIAN);
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    const sum = w.getInt32(i - 16 * WORD, LITTLE_ENDIAN) + s0 + w.getInt32(i - 7 * WORD, LITTLE_ENDIAN) + s1;
    w.setInt32(i, sum | 0, LITTLE_ENDIAN);
  }
  let a = at(state, 0);
  let b = at(state, 1);
  let c = at(state, 2);
  let d = at(state, 3);
  let e = at(state, 4);
  let f = at(state, 5);
  let g = at(state, 6);
  let h = at(state, 7);
  for (let i = 0; i < ROUNDS * WORD; i += WORD) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + (g ^ (e & (f ^ g))) + k.getInt32(i, LITTLE_ENDIAN) + w.getInt32(i, LITTLE_ENDIAN)) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) | (c & (a | b)))) | 0;
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
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = length - (length % BLOCK);
  for (let done = 0; done < whole; done += BLOCK) compress(view, offset + done);
  const rest = length - whole;
  for (let i = 0; i < rest; i++) tail[i] = bytes[offset + whole + i] ?? 0;
  tail[rest] = 0x80;
  const padded = rest + 9 > BLOCK ? 2 * BLOCK : BLOCK;
  tail.fill(0, rest + 1, padded);
  const bits = length * 8;
  const high = Math.floor(bits / 2 ** 32);
  tailView.setUint32(padded - 2 * WORD, high);
  tailView.setUint32(padded - WORD, bits);
  for (let done = 0; done < padded; done += BLOCK) compress(tailView, done);
  const digest = new Uint8Array(8 * WORD);
  for (let i = 0; i < 8; i++) {
    const word = at(state, i);
    digest[4 * i] = word >>> 24;
    digest[4 * i + 1] = word >>> 16;
    digest[4 * i + 2] = word >>> 8;
    digest[4 * i + 3] = word;
  }
  return digest;
}
