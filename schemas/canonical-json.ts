/**
 * Canonical JSON (RFC 8785): keys in the order of their UTF-16 code units, no spaces, numbers and strings as ECMAScript
 * writes them. Written for plans: a hundred thousand small objects with few different sets of keys, so that each set is
 * sorted once.
 */
import { invariant } from "./diagnostic.ts";

/** Undefined properties are left out, as in JSON; what JSON cannot say is refused. */
export function canonicalJson(value: unknown): string {
  return textOf(value, new KeyOrders());
}

/** Calls back with the text piece by piece, arrays item by item, so that the whole of it never exists. */
export function forEachPiece(value: unknown, take: (text: string) => void): void {
  visit(value, new KeyOrders(), take);
}

function visit(value: unknown, orders: KeyOrders, take: (text: string) => void): void {
  if (Array.isArray(value)) {
    value.forEach((item, index) => {
      take(`${index === 0 ? "[" : ","}${textOf(item, orders)}`);
    });
    take(value.length === 0 ? "[]" : "]");
  } else if (typeof value === "object" && value !== null) {
    let separator = "{";
    for (const { key, text } of orders.of(value)) {
      const field = (value as Fields)[key];
      if (field === undefined) continue;
      take(`${separator}${text}`);
      visit(field, orders, take);
      separator = ",";
    }
    take(separator === "{" ? "{}" : "}");
  } else take(textOf(value, orders));
}

type Fields = Readonly<Record<string, unknown>>;

/** A lone half of a pair of UTF-16 code units. */
const LONE_SURROGATE = /\p{Surrogate}/u;

function textOf(value: unknown, orders: KeyOrders): string {
  switch (typeof value) {
    case "string":
      invariant(!LONE_SURROGATE.test(value), "text of a plan is well-formed");
      return JSON.stringify(value);
    case "number":
      invariant(Number.isFinite(value), "numbers of a plan are finite");
      return String(value);
    case "boolean":
      return value ? "true" : "false";
    case "object":
      if (value === null) return "null";
      return Array.isArray(value) ? arrayText(value, orders) : objectText(value as Fields, orders);
  }
  invariant(false, `a plan has no ${typeof value}`);
}

function arrayText(items: readonly unknown[], orders: KeyOrders): string {
  let text = "[";
  for (let index = 0; index < items.length; index++) {
    if (index > 0) text += ",";
    text += textOf(items[index], orders);
  }
  return `${text}]`;
}

function objectText(fields: Fields, orders: KeyOrders): string {
  let text = "{";
  for (const { key, text: name } of orders.of(fields)) {
    const field = fields[key];
    if (field === undefined) continue;
    if (text.length > 1) text += ",";
    text += name + textOf(field, orders);
  }
  return `${text}}`;
}

interface Key {
  readonly key: string;
  /** The key as it stands before its value. */
  readonly text: string;
}

/** The sorted keys of objects, found by walking a tree of keys in the order in which an object has them. */
class KeyOrders {
  readonly #root: KeyNode = { next: new Map(), sorted: null };

  of(fields: object): readonly Key[] {
    let node = this.#root;
    // Own properties: objects of plans have no others.
    for (const key in fields) {
      let next = node.next.get(key);
      if (!next) {
        next = { next: new Map(), sorted: null };
        node.next.set(key, next);
      }
      node = next;
    }
    node.sorted ??= Object.keys(fields)
      .sort()
      .map((key) => ({ key, text: `${textOf(key, this)}:` }));
    return node.sorted;
  }
}

interface KeyNode {
  readonly next: Map<string, KeyNode>;
  sorted: readonly Key[] | null;
}
