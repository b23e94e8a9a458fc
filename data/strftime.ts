/**
 * Python's `strftime` in UTC and English, for templates that print today's date.
 *
 * A template's clock must not be the wall clock: the same data would tokenize differently tomorrow, and a plan's
 * digest would be a lie. The caller fixes the date.
 */
const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

const pad = (value: number, width = 2): string => String(value).padStart(width, "0");

const DIRECTIVES = new Map<string, (date: Date) => string>([
  ["%", () => "%"],
  ["Y", (date) => pad(date.getUTCFullYear(), 4)],
  ["y", (date) => pad(date.getUTCFullYear() % 100)],
  ["m", (date) => pad(date.getUTCMonth() + 1)],
  ["d", (date) => pad(date.getUTCDate())],
  ["H", (date) => pad(date.getUTCHours())],
  ["I", (date) => pad(((date.getUTCHours() + 11) % 12) + 1)],
  ["M", (date) => pad(date.getUTCMinutes())],
  ["S", (date) => pad(date.getUTCSeconds())],
  ["p", (date) => (date.getUTCHours() < 12 ? "AM" : "PM")],
  ["A", (date) => DAYS[date.getUTCDay()]!],
  ["a", (date) => DAYS[date.getUTCDay()]!.slice(0, 3)],
  ["B", (date) => MONTHS[date.getUTCMonth()]!],
  ["b", (date) => MONTHS[date.getUTCMonth()]!.slice(0, 3)],
]);

/** `strftime(new Date("2024-07-26"), "%d %b %Y")` → `26 Jul 2024`; throws on a directive it does not know. */
export function strftime(date: Date, format: string): string {
  return format.replace(/%(.)/gs, (_, directive: string) => {
    const write = DIRECTIVES.get(directive);
    if (write === undefined) throw new RangeError(`strftime_now: %${directive} is not supported`);
    return write(date);
  });
}
