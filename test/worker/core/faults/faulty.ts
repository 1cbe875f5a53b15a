/** Bindings of which one call fails, before or after it took effect. */

export type When = "failed" | "failed, but persisted";

export class Fault {
  readonly #call: string;
  readonly #when: When;
  readonly #times: number;
  hits = 0;

  /**
   * @param call part of the call's name: `LEDGER.put`, or `DB: ` and the SQL of a statement or of all statements of a batch.
   * @param times how many of these calls fail.
   */
  constructor(call: string, when: When, times = 1) {
    this.#call = call;
    this.#when = when;
    this.#times = times;
  }

  /** Makes the call as far as the fault lets it. */
  async through<Result>(name: string, call: () => Result | Promise<Result>): Promise<Result> {
    if (this.hits >= this.#times || !name.includes(this.#call)) return call();
    this.hits += 1;
    if (this.#when === "failed, but persisted") await call();
    throw new Error(`${this.#call} ${this.#when}`);
  }
}

/** Every method of the binding goes through the fault. */
export function faulty<Binding extends object>(name: string, binding: Binding, fault: Fault): Binding {
  return new Proxy(binding, {
    get(target, method) {
      const member: unknown = Reflect.get(target, method);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) =>
        fault.through(`${name}.${String(method)}`, () => Reflect.apply(member, target, args));
    },
  });
}

interface Real {
  readonly statement: D1PreparedStatement;
  readonly sql: string;
}

/** Every statement and every batch goes through the fault, by its SQL. */
export function faultyDatabase(db: D1Database, fault: Fault): D1Database {
  const reals = new WeakMap<D1PreparedStatement, Real>();
  const wrap = (statement: D1PreparedStatement, sql: string): D1PreparedStatement => {
    const wrapped = new Proxy(statement, {
      get(target, method) {
        const member: unknown = Reflect.get(target, method);
        if (typeof member !== "function") return member;
        if (method === "bind") return (...values: unknown[]) => wrap(target.bind(...values), sql);
        return (...args: unknown[]) => fault.through(`DB: ${sql}`, () => Reflect.apply(member, target, args));
      },
    });
    reals.set(wrapped, { statement, sql });
    return wrapped;
  };
  const realOf = (statement: D1PreparedStatement): Real => {
    const real = reals.get(statement);
    if (real === undefined) throw new Error("a statement of another database");
    return real;
  };
  return new Proxy(db, {
    get(target, method) {
      if (method === "prepare") return (sql: string) => wrap(target.prepare(sql), sql);
      if (method === "batch") {
        return (statements: readonly D1PreparedStatement[]) => {
          const real = statements.map(realOf);
          return fault.through(`DB: ${real.map(({ sql }) => sql).join("; ")}`, () =>
            target.batch(real.map(({ statement }) => statement)),
          );
        };
      }
      const member: unknown = Reflect.get(target, method);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
