/**
 * A reader of PromQL as our rules are written: refuses what Prometheus would, as far as they go. Vectors and scalars are told apart,
 * a range is only where a function takes one, and every function and aggregation is known.
 */

type Kind = "scalar" | "vector" | "range";

const FUNCTIONS: Readonly<Record<string, readonly (readonly Kind[])[]>> = {
  rate: [["range"]],
  increase: [["range"]],
  absent: [["vector"]],
  histogram_quantile: [["scalar", "vector"]],
  vector: [["scalar"]],
  time: [[]],
};
const RETURNS_SCALAR = new Set(["time"]);
const AGGREGATIONS = new Set(["sum", "max", "min", "avg", "count"]);

const TOKEN =
  /\s*(?:(\d+(?:\.\d+)?(?:e[+-]?\d+)?)|([a-zA-Z_:][a-zA-Z0-9_:]*)|("(?:[^"\\]|\\.)*")|(\[\d+[smhd]\])|(>=|<=|==|!=|=~|!~|[-+*/(){},<>=]))/y;

interface Token {
  readonly type: "number" | "name" | "string" | "range" | "sign";
  readonly text: string;
}

function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const [whole, number, name, string, range, sign] = TOKEN.exec(text) ?? [];
    if (whole === undefined) throw new Error(`what is this: ${text.slice(at, at + 30)}`);
    if (number !== undefined) tokens.push({ type: "number", text: number });
    else if (name !== undefined) tokens.push({ type: "name", text: name });
    else if (string !== undefined) tokens.push({ type: "string", text: string });
    else if (range !== undefined) tokens.push({ type: "range", text: range });
    else tokens.push({ type: "sign", text: sign ?? "" });
  }
  return tokens;
}

const LEVELS: readonly (readonly string[])[] = [
  ["or"],
  ["and", "unless"],
  ["==", "!=", ">", "<", ">=", "<="],
  ["+", "-"],
  ["*", "/"],
];

export interface Selector {
  readonly name: string;
  readonly labels: Readonly<Record<string, { readonly operator: string; readonly value: string }>>;
}

/** @returns every selector in it. @throws at the first thing that does not hold. */
export function readPromql(text: string): readonly Selector[] {
  const tokens = tokensOf(text);
  const selectors: Selector[] = [];
  let at = 0;
  const peek = (): string => tokens[at]?.text ?? "";
  const take = (): Token => {
    const token = tokens[at];
    if (token === undefined) throw new Error(`it ends too early: ${text}`);
    at += 1;
    return token;
  };
  const expect = (wanted: string): void => {
    const { text: found } = take();
    if (found !== wanted) throw new Error(`${wanted} is missing before ${found}: ${text}`);
  };

  function names(): void {
    expect("(");
    while (peek() !== ")") {
      if (take().type !== "name") throw new Error("labels are names");
      if (peek() === ",") take();
    }
    expect(")");
  }

  function binary(level: number): Kind {
    const operators = LEVELS[level];
    if (operators === undefined) return primary();
    let left = binary(level + 1);
    while (operators.includes(peek())) {
      const operator = take().text;
      if (peek() === "on" || peek() === "ignoring") {
        take();
        names();
      }
      const right = binary(level + 1);
      if (left === "range" || right === "range") throw new Error(`a range beside ${operator}: ${text}`);
      if (level < 2 && (left === "scalar" || right === "scalar")) throw new Error(`${operator} joins vectors: ${text}`);
      if (level === 2 && left === "scalar" && right === "scalar") throw new Error(`scalars are compared: ${text}`);
      left = left === "vector" || right === "vector" ? "vector" : "scalar";
    }
    return left;
  }

  function primary(): Kind {
    const token = take();
    if (token.text === "(") {
      const kind = binary(0);
      expect(")");
      return kind;
    }
    if (token.type === "number") return "scalar";
    if (token.type !== "name") throw new Error(`${token.text} begins nothing: ${text}`);
    if (AGGREGATIONS.has(token.text)) {
      if (peek() === "by" || peek() === "without") {
        take();
        names();
      }
      expect("(");
      const kind = binary(0);
      expect(")");
      if (kind !== "vector") throw new Error(`${token.text} takes a vector, not a ${kind}: ${text}`);
      return "vector";
    }
    if (peek() === "(") return invoked(token.text);
    return selector(token.text);
  }

  function invoked(name: string): Kind {
    const known = FUNCTIONS[name];
    if (known === undefined) throw new Error(`${name} is no function: ${text}`);
    expect("(");
    const given: Kind[] = [];
    while (peek() !== ")") {
      given.push(binary(0));
      if (peek() === ",") take();
    }
    expect(")");
    if (!known.some((wanted) => wanted.join() === given.join()))
      throw new Error(`${name} does not take ${given.join(", ") || "nothing"}: ${text}`);
    return RETURNS_SCALAR.has(name) ? "scalar" : "vector";
  }

  function selector(name: string): Kind {
    const labels: Record<string, { operator: string; value: string }> = {};
    if (peek() === "{") {
      take();
      while (peek() !== "}") {
        const label = take();
        const operator = take().text;
        const value = take();
        if (label.type !== "name" || value.type !== "string" || !["=", "=~", "!=", "!~"].includes(operator))
          throw new Error(`no matcher: ${text}`);
        const read: unknown = JSON.parse(value.text);
        if (operator.includes("~")) new RegExp(`^(?:${String(read)})$`);
        labels[label.text] = { operator, value: String(read) };
        if (peek() === ",") take();
      }
      expect("}");
    }
    selectors.push({ name, labels });
    const kind = tokens[at]?.type === "range" ? "range" : "vector";
    if (kind === "range") take();
    if (peek() === "offset") {
      take();
      if (take().type !== "number" || !/^[smhd]$/.test(take().text))
        throw new Error(`offset takes a duration: ${text}`);
    }
    return kind;
  }

  const kind = binary(0);
  if (at < tokens.length) throw new Error(`${peek()} is left over: ${text}`);
  if (kind !== "vector") throw new Error(`an alert needs a vector, not a ${kind}: ${text}`);
  return selectors;
}
